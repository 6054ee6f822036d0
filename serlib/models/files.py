"""Networks as files: read again, and turned into LiteRT."""

import contextlib
import io
import warnings

from .network import quiet_stderr, tensorflow


def load_network(file):
    """Return the network of a ``.keras`` file that you trust: Keras refuses code in it, but reads what it says."""
    tensorflow()
    import keras

    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # Keras has a kind for each fault
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"{file} is no network that Keras reads ({why}); train the model again") from None


def to_litert(network):
    """Return a network as the bytes of a LiteRT file, in float32."""
    tf = tensorflow()
    with quiet_stderr(), contextlib.redirect_stdout(io.StringIO()):  # it lists the network
        return tf.lite.TFLiteConverter.from_keras_model(network).convert()


def run_litert(content, X):
    """Return what a LiteRT file answers to one array: ndarray of float32, shape (1, n_classes)."""
    tf = tensorflow()
    with warnings.catch_warnings(), quiet_stderr():
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated")
        interpreter = tf.lite.Interpreter(model_content=content)
        interpreter.allocate_tensors()
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(given["index"], X.reshape(given["shape"]))
    interpreter.invoke()
    return interpreter.get_tensor(answer["index"])
