"""`AttentionCnn`: small 2-D convolutions over a spectrogram, and attentive pooling over time."""

import numpy as np

from .network import NetworkClassifier


class AttentionCnn(NetworkClassifier):
    """A 2-D CNN over frames x bands; a weighted mean over time, whose weights are learned; dense, softmax.

    Bands are standardised by the training utterances'. SpecAugment [1]_ hides a stretch of frames and one of bands of
    each training utterance, anew in each epoch; never in validation or test.

    Parameters
    ----------
    filters : tuple of int
        Of one block each: convolution, batch normalisation, ReLU, max-pooling by 2 x 2.
    dense : int
    dropout : float
    mask_frames, mask_bands : int
        The longest stretch that SpecAugment hides.
    epochs, batch_size : int
    learning_rate : float
        Of Adam.
    loss : str
    shuffle : bool
    class_weight : dict or ``"balanced"``, optional
    random_state : int, optional

    References
    ----------
    .. [1] D. S. Park et al., SpecAugment: a simple data augmentation method for automatic speech recognition,
       Interspeech 2019.
    """

    n_dims = 2

    def __init__(
        self,
        *,
        filters=(16, 32, 48),
        dense=64,
        dropout=0.3,
        mask_frames=40,
        mask_bands=12,
        epochs=40,
        batch_size=16,
        learning_rate=1e-3,
        loss="categorical_crossentropy",
        shuffle=True,
        class_weight=None,
        random_state=None,
    ):
        self.filters = filters
        self.dense = dense
        self.dropout = dropout
        self.mask_frames = mask_frames
        self.mask_bands = mask_bands
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.loss = loss
        self.shuffle = shuffle
        self.class_weight = class_weight
        self.random_state = random_state

    def _prepare(self, X):
        self.mean_ = X.mean(axis=(0, 1), dtype=np.float64)
        self.variance_ = X.var(axis=(0, 1), dtype=np.float64)

    def _build(self, keras, shape, n_classes, seed):
        layers, seeds = keras.layers, iter(range(seed, seed + 100))

        def drawn():
            return keras.initializers.GlorotUniform(seed=next(seeds))

        mean, variance = getattr(self, "mean_", np.zeros(shape[1])), getattr(self, "variance_", np.ones(shape[1]))
        inputs = layers.Input(shape, name="features")
        x = layers.BatchNormalization(center=False, scale=False, trainable=False, name="standardise")(inputs)
        x = layers.Reshape((*shape, 1), name="image")(x)
        for number, n_filters in enumerate(self.filters, 1):
            x = layers.Conv2D(
                n_filters, 3, padding="same", use_bias=False, kernel_initializer=drawn(), name=f"conv_{number}"
            )(x)
            x = layers.BatchNormalization(name=f"norm_{number}")(x)
            x = layers.ReLU(name=f"relu_{number}")(x)
            x = layers.MaxPooling2D(2, padding="same", name=f"pool_{number}")(x)
        x = layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]), name="frames")(x)
        weights = layers.Dense(1, kernel_initializer=drawn(), name="attention")(x)
        weights = layers.Softmax(axis=1, name="weights")(weights)
        x = layers.Dot(axes=1, name="pooled")([weights, x])
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dropout(self.dropout, seed=seed, name="dropout")(x)
        x = layers.Dense(self.dense, activation="relu", kernel_initializer=drawn(), name="dense")(x)
        x = layers.Dense(n_classes, activation="softmax", kernel_initializer=drawn(), name="emotion")(x)
        network = keras.Model(inputs, x, name="attention_cnn")
        network.get_layer("standardise").set_weights([mean, variance])
        return network

    def _augment(self, tf, network, x, rng):
        """Mask a block of frames and one of bands of each utterance with the training mean (SpecAugment)."""
        mean = network.get_layer("standardise").moving_mean
        n, n_frames, n_bands = tf.shape(x)[0], x.shape[1], x.shape[2]

        def hidden(length, longest):
            width = rng.uniform((n, 1), 0, min(longest, length) + 1, tf.int32)
            start = tf.cast(rng.uniform((n, 1)) * tf.cast(length - width + 1, tf.float32), tf.int32)
            at = tf.range(length)[None]
            return (at >= start) & (at < start + width)

        mask = hidden(n_frames, self.mask_frames)[:, :, None] | hidden(n_bands, self.mask_bands)[:, None, :]
        return tf.where(mask, mean[None, None], x)
