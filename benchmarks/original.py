"""What the original project does with recordings, call by call, with today's libraries: the other half of `bench.py`.

Every file is decoded and resampled once for its duration and once more for its MFCCs, one after another, and nothing
is kept; then Keras's ``fit`` trains in batches of 32, in the order of the files, and scores the test part after every
epoch. Nothing of `serlib` is used here, and TensorFlow runs as it comes.

usage: python benchmarks/original.py fit DATA.npz EPOCHS WEIGHTS.npz
       prints the seconds of the first epoch, in which TensorFlow compiles, of all others, and the test accuracy
       python benchmarks/original.py predict MODEL.keras WAV
"""

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import librosa
import numpy as np


def durations(files):
    """Learn how long recordings last: by decoding and resampling them."""
    return [librosa.get_duration(y=signal, sr=sr) for signal, sr in map(librosa.load, files)]


def mean_mfccs(files):
    """Decode, resample, compute 50 MFCCs (librosa's frames of 2048 samples, hop 552) and average each over time."""
    loaded = map(librosa.load, files)
    return [librosa.feature.mfcc(y=y, sr=sr, n_mfcc=50, hop_length=552).T.mean(axis=0) for y, sr in loaded]


def build(n_emotions):
    """Build the network of its code: binary cross-entropy on a softmax, no dropout."""
    import keras
    from keras import layers

    network = keras.Sequential([layers.Input((50, 1))])
    for n_filters, is_pooled in ((8, False), (16, True), (32, True)):
        network.add(layers.Conv1D(n_filters, 5, padding="same", activation="relu"))
        if is_pooled:
            network.add(layers.MaxPooling1D(2))
    for layer in (layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(n_emotions, "softmax")):
        network.add(layer)
    network.compile(keras.optimizers.Adam(1e-4), loss="binary_crossentropy", metrics=["accuracy"])
    return network


def fit(X, Y, X_test, Y_test, epochs, weights):
    """Train from given weights; return the seconds of the first epoch and of the others, and the last test accuracy."""
    import keras

    network, ends = build(Y.shape[1]), []
    network.set_weights(weights)
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
    held_out, start = (X_test[..., None], Y_test), time.perf_counter()
    done = network.fit(
        X[..., None], Y, epochs=epochs, shuffle=False, verbose=0, validation_data=held_out, callbacks=[clock]
    )
    return ends[0] - start, ends[-1] - ends[0], done.history["val_accuracy"][-1]


def predict(file, wav):
    """Load a model, and print what it says of one recording."""
    import keras

    network = keras.saving.load_model(file, compile=False)
    print(network.predict(np.array(mean_mfccs([wav]))[..., None], verbose=0)[0])


if __name__ == "__main__":
    what, file, *arguments = sys.argv[1:]
    if what == "predict":
        predict(file, *arguments)
    else:
        data, weights = np.load(file), list(np.load(arguments[1]).values())
        print(*fit(data["X"], data["Y"], data["X_test"], data["Y_test"], int(arguments[0]), weights))
