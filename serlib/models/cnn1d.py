"""`Cnn1d`: the original project's network over a vector."""

from .network import NetworkClassifier


class Cnn1d(NetworkClassifier):
    """A 1-D CNN over a vector: three convolutions, max-pooling after the second and third, dropout, dense, softmax.

    Parameters
    ----------
    filters : tuple of three int
    kernel_size, pool_size, dense : int
    pool_padding : str
        ``same`` or ``valid``.
    dropout : float
        Chosen once, inside EMODB's training part, by ``benchmarks/choose_dropout.py``.
    epochs, batch_size : int
    learning_rate : float
        Of Adam.
    loss : str
        ``categorical_crossentropy`` or ``binary_crossentropy``.
    shuffle : bool
    class_weight : dict or ``"balanced"``, optional
    random_state : int, optional
    """

    def __init__(
        self,
        *,
        filters=(8, 16, 32),
        kernel_size=5,
        pool_size=2,
        pool_padding="same",
        dropout=0.1,
        dense=128,
        epochs=500,
        batch_size=32,
        learning_rate=1e-4,
        loss="categorical_crossentropy",
        shuffle=True,
        class_weight=None,
        random_state=None,
    ):
        self.filters = filters
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.pool_padding = pool_padding
        self.dropout = dropout
        self.dense = dense
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.loss = loss
        self.shuffle = shuffle
        self.class_weight = class_weight
        self.random_state = random_state

    def _inputs(self, X):
        return X[..., None]

    def _build(self, keras, shape, n_classes, seed):
        glorot = [keras.initializers.GlorotUniform(seed=seed + number) for number in range(5)]

        def convolution(number):
            return keras.layers.Conv1D(
                self.filters[number],
                self.kernel_size,
                padding="same",
                activation="relu",
                kernel_initializer=glorot[number],
                name=f"conv_{number + 1}",
            )

        def pooling(number):
            return keras.layers.MaxPooling1D(self.pool_size, padding=self.pool_padding, name=f"pool_{number}")

        stack = [
            keras.layers.Input((*shape, 1), name="features"),
            convolution(0),
            convolution(1),
            pooling(2),
            convolution(2),
            pooling(3),
            keras.layers.Dropout(self.dropout, seed=seed, name="dropout"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(self.dense, activation="relu", kernel_initializer=glorot[3], name="dense"),
            keras.layers.Dense(n_classes, activation="softmax", kernel_initializer=glorot[4], name="emotion"),
        ]
        return keras.Sequential(stack, name="cnn")
