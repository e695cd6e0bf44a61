import types

import keras
import numpy as np
import pytest
from keras import layers, ops

from i2p_tf import inference, models
from i2p_tf.channels.mixture import WAYS, lossy
from i2p_tf.models.adversary import adversary
from i2p_tf.models.feature_extractor import classifier_features
from i2p_tf.models.layers.minimal_filtering import Conv2D
from i2p_tf.models.transforms.unet import unet
from i2p_tf.objectives import paper
from i2p_tf.objectives.adversarial import (
    AdversarialObjective,
    AdversarialTrainer,
    reconstruction_error,
)
from i2p_tf.objectives.classification import Classification
from i2p_tf.objectives.codebook import CodebookTrainer
from i2p_tf.objectives.feature_distance import SquaredDistance
from i2p_tf.objectives.paper import PaperObjective
from i2p_tf.objectives.trainer import ADVERSARY_LEARNING_RATE, ClassifierTrainer, TransformTrainer
from i2p_tf.recipe import Recipe
from i2p_tf.training.fit import compile_trainer
from i2p_tf.training.optimizer import ConvolutionMuon, OneCycle, Steps, optimizer
from i2p_tf.training.precision import dtype_policy

pytestmark = pytest.mark.slow

STEPS = 6


def toy_network():
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, activation="relu")(images)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(3, dtype="float32")(x))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"], indirect=True)
def test_six_steps_are_those_of_keras_in_each_precision(policy, images):
    labels = np.arange(8) % 3
    with dtype_policy(policy):
        ours, theirs = toy_network(), toy_network()
    theirs.set_weights(ours.get_weights())
    start = ours.get_weights()
    trainer = ClassifierTrainer(ours)
    trainer.compile(optimizer=keras.optimizers.SGD(0.5, momentum=0.9), jit_compile=False)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    theirs.compile(optimizer=keras.optimizers.SGD(0.5, momentum=0.9), loss=loss, jit_compile=False)
    for _ in range(STEPS):
        trainer.train_on_batch(images, labels)
        theirs.train_on_batch(images, labels)
    scaled = isinstance(trainer.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    for first, mine, expected in zip(start, ours.get_weights(), theirs.get_weights(), strict=True):
        moved = np.max(np.abs(expected - first))
        np.testing.assert_allclose(mine, expected, atol=1e-3 * moved + 1e-7)
    moved = [np.max(np.abs(mine - first)) for first, mine in zip(start, ours.get_weights(), strict=True)]
    assert max(moved) > 0.01


def test_a_step_is_traced_once(images, monkeypatch):
    """Tracing is most of what a first step takes; TensorFlow does it again where the first time has made variables."""
    trainer, traced = ClassifierTrainer(toy_network()), []
    compile_trainer(trainer, Recipe(1, 4, 0.1), 4)

    def watched(name):
        step = getattr(trainer, name)

        def watch(data):
            traced.append(name)
            return step(data)

        return watch

    for name in ("train_step", "test_step"):
        monkeypatch.setattr(trainer, name, watched(name))
    labels = np.arange(8) % 3
    trainer.fit(images, labels, validation_data=(images, labels), batch_size=4, epochs=2, verbose=0)
    assert traced == ["train_step", "test_step"]


def test_metrics_are_not_scaled_with_the_loss(images):
    labels = np.arange(8) % 3
    losses = {}
    for policy in ("float32", "mixed_float16"):
        keras.utils.set_random_seed(0)
        with dtype_policy(policy):
            trainer = ClassifierTrainer(toy_network())
        trainer.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
        losses[policy] = trainer.train_on_batch(images, labels, return_dict=True)["loss"]
    np.testing.assert_allclose(losses["mixed_float16"], losses["float32"], rtol=0.01)


def test_frozen_networks_stay_bit_identical_and_the_transform_moves(images):
    classifier = models.classifier("resnet20", 16, 3)
    classifier.trainable = False
    extractor = classifier_features(classifier)
    transform = unet("tiny", 16)
    trainer = TransformTrainer(
        transform, PaperObjective(Classification(classifier), extractor, SquaredDistance(extractor(images)), 0.1)
    )
    trainer.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
    frozen, trained = classifier.get_weights(), transform.get_weights()
    for _ in range(3):
        trainer.train_on_batch(images, np.arange(8) % 3)
    for before, now in zip(frozen, classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)
    moved = [not np.array_equal(a, b) for a, b in zip(trained, transform.get_weights(), strict=True)]
    names = [weight.path for weight in transform.weights]
    # A bias in front of a batch normalisation has no effect and may stay where it is.
    assert all(now for now, name in zip(moved, names, strict=True) if not name.endswith("conv/bias"))


def test_minimal_filtering_changes_losses_and_gradients_by_rounding_alone(images, monkeypatch):
    """In float64: in float32 the least rounding, and with it the processor, decides whether a ReLU near 0 is open.

    Such a flip moves a gradient by a per cent. In float64 none lies that near: rounding leaves 1e-14 of the largest.
    """
    import tensorflow as tf

    # Where a value lies between two of the 256 levels, it would make the smallest difference one of 1/255.
    monkeypatch.setattr(paper, "round_to_8_bits", lambda images: images)
    results = []
    for gains in (Conv2D._gains, lambda layer, inputs: False):
        monkeypatch.setattr(Conv2D, "_gains", gains)
        keras.utils.set_random_seed(0)
        with dtype_policy("float64"):
            classifier = models.classifier("resnet20", 16, 3)
            transform = unet("small", 16)
            classifier.trainable = False
            extractor = classifier_features(classifier)
        distance = SquaredDistance(np.float32(extractor(images)))
        trainer = TransformTrainer(transform, PaperObjective(Classification(classifier), extractor, distance, 0.1))
        with tf.GradientTape() as tape:
            loss = trainer.compute_losses(images, np.arange(8) % 3, training=True)["loss"]
        # A bias in front of a batch normalisation has no effect: its gradient is nothing but rounding.
        weights = [weight for weight in transform.trainable_variables if not weight.path.endswith("conv/bias")]
        results.append([loss.numpy(), *(gradient.numpy() for gradient in tape.gradient(loss, weights))])
    assert results[0][1].dtype == np.float64
    assert not np.array_equal(results[0][1], results[1][1])  # they were other computations
    for mine, expected in zip(*results, strict=True):
        np.testing.assert_allclose(mine, expected, atol=1e-9 * np.max(np.abs(expected)))


def adversarial_trainer(images, policy="float32", adversary_weight=1.0, learning_rate=0.1):
    keras.utils.set_random_seed(0)
    with dtype_policy(policy):
        classifier = models.classifier("resnet20", 16, 3)
        classifier.trainable = False
        transform = unet("tiny", 16)
        mean = images.mean(axis=0)
        objective = AdversarialObjective(
            Classification(classifier, 0.5), adversary(mean), np.stack([mean] * 3), adversary_weight
        )
        trainer = AdversarialTrainer(transform, objective)
    trainer.compile(optimizer=keras.optimizers.SGD(learning_rate), jit_compile=False)
    return trainer


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"], indirect=True)
def test_the_adversary_learns_with_keras_own_steps_in_each_precision(policy, images):
    trainer = adversarial_trainer(images, policy, learning_rate=0.0)
    with dtype_policy(policy):
        theirs = adversary(images.mean(axis=0))
    theirs.set_weights(trainer.adversary.get_weights())
    frozen = trainer.objective.classification.classifier.get_weights()
    theirs.compile(
        keras.optimizers.Adam(ADVERSARY_LEARNING_RATE),
        loss=lambda plain, restored: reconstruction_error(restored, plain),
        jit_compile=False,
    )
    errors = []
    for _ in range(STEPS):
        errors.append(float(trainer.train_on_batch(images, np.arange(8) % 3, return_dict=True)["adversary_error"]))
        trainer.reset_metrics()
        protected = trainer.network(images, training=True)  # its weights don't move
        theirs.train_on_batch(np.round(np.asarray(protected) * 255) / 255, images)
    scaled = isinstance(trainer.adversary_optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    assert errors[-1] < 0.99 * errors[0]
    inputs = np.round(np.asarray(protected) * 255) / 255
    np.testing.assert_allclose(trainer.adversary(inputs), theirs(inputs), atol=0.02)
    for before, now in zip(frozen, trainer.objective.classification.classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)


def test_the_transform_moves_against_the_adversary(images):
    labels = np.arange(8) % 3
    gains = {}
    for weight in (0.0, 20.0):
        trainer = adversarial_trainer(images, adversary_weight=weight, learning_rate=0.02)
        for _ in range(40):
            values = trainer.train_on_batch(images, labels, return_dict=True)
            trainer.reset_metrics()
        gains[weight] = float(values["adversary_gain"])
    assert gains[0.0] > 0.05
    assert gains[20.0] < 0.5 * gains[0.0]


def test_a_checkpoint_has_all_that_an_adversarial_training_changes(images):
    trainer = adversarial_trainer(images)
    trainer.train_on_batch(images, np.arange(8) % 3)
    groups = trainer.variable_groups()
    held = {id(variable) for group in groups.values() for variable in group}
    own = [*trainer.network.variables, *trainer.optimizer.variables]
    own += [*trainer.adversary.variables, *trainer.adversary_optimizer.variables]
    assert held == {id(variable) for variable in own}
    assert any(np.any(variable.numpy()) for variable in groups["adversary_optimizer"] if "momentum" in variable.path)


def test_gradient_clipping_limits_the_step(images):
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=1.0, schedule="steps", weight_decay=0.0, clip_norm=1e-3)
    network = toy_network()
    before = [variable.numpy() for variable in network.trainable_variables]
    trainer = ClassifierTrainer(network)
    trainer.compile(optimizer=optimizer(recipe, 1), jit_compile=False)
    trainer.train_on_batch(images, np.arange(8) % 3)
    squares = [np.sum((v.numpy() - b) ** 2) for v, b in zip(network.trainable_variables, before, strict=True)]
    np.testing.assert_allclose(np.sqrt(sum(squares)), 1e-3, rtol=1e-3)


def test_only_kernels_decay():
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.1, schedule="steps", weight_decay=0.05)
    network = toy_network()
    network.layers[2].gamma.assign(np.full(8, 2.0))
    before = {variable.path: variable.numpy() for variable in network.trainable_variables}
    sgd = optimizer(recipe, 1)
    sgd.build(network.trainable_variables)
    zeros = [np.zeros(variable.shape, np.float32) for variable in network.trainable_variables]
    sgd.apply(zeros, network.trainable_variables)
    for variable in network.trainable_variables:
        factor = 1 - 0.1 * 0.05 / (1 - 0.9) if variable.name == "kernel" else 1.0
        np.testing.assert_allclose(variable.numpy(), factor * before[variable.path], rtol=1e-5)


@pytest.mark.parametrize("products", ["float32", "bfloat16"])
def test_muon_moves_a_convolution_along_all_its_directions_alike(products):
    """Whatever the gradient's singular values, those of the step are near the learning rate; its own directions."""
    generator = np.random.default_rng(0)
    kernel = keras.Variable(np.zeros((3, 3, 8, 16), np.float32))
    gradient = generator.normal(size=kernel.shape).astype(np.float32) * np.geomspace(1, 0.05, 16, dtype=np.float32)
    muon = ConvolutionMuon(0.1, products, rms_rate=None, weight_decay=0.0)
    muon.build([kernel])
    muon.apply([gradient], [kernel])
    left, strengths, right = np.linalg.svd(gradient.reshape(72, 16), full_matrices=False)
    step = -kernel.numpy().reshape(72, 16)
    assert strengths.max() > 10 * strengths.min()
    along = left.T @ step @ right.T
    assert np.all(np.abs(np.diag(along) / 0.1 - 1) < 0.4)
    assert np.abs(along - np.diag(np.diag(along))).max() < 0.01


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_muon_multiplies_in_the_precision_of_the_network(dtype):
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.1, optimizer="muon")
    kernel = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(3, 3, 8, 16)), "float32")
    found = optimizer(recipe, 1, dtype).zeropower_via_newtonschulz5(kernel, 5)
    rounded = ops.cast(ops.cast(found, "bfloat16"), "float32")
    assert found.dtype == "float32" and bool(ops.all(found == rounded)) == (dtype == "bfloat16")


def test_muon_leaves_dense_layers_and_vectors_to_adam_and_shrinks_kernels_alone():
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.1, optimizer="muon", schedule="steps", weight_decay=0.05)
    variables = [
        keras.Variable(np.ones(shape, np.float32), name=name)
        for shape, name in (((3, 3, 4, 8), "kernel"), ((8, 4), "kernel"), ((4,), "bias"))
    ]
    muon = optimizer(recipe, 1)
    muon.build(variables)
    muon.apply([np.zeros(variable.shape, np.float32) for variable in variables], variables)
    assert [velocity is not None for velocity in muon.adam_velocities] == [False, True, True]
    for variable, factor in zip(variables, (1 - 0.1 * 0.05, 1 - 0.1 * 0.05, 1.0), strict=True):
        np.testing.assert_allclose(variable.numpy(), factor, rtol=1e-5)


@pytest.fixture
def reader(trained_run):
    """A classifier that has learned to read: how well pictures can be found for a random one is chance."""
    classifier = keras.models.load_model(trained_run.classifier, compile=False)
    classifier.trainable = False
    return classifier


def codebook_trainer(classifier, batch_size=32, channel=None):
    keras.utils.set_random_seed(0)
    transform = models.transform("codebook_tiny", 16, 10)
    classification = Classification(classifier, 0.5, channel=channel, ways=WAYS if channel else 1)
    trainer, said, done, totals = CodebookTrainer(transform, classification), [], [], []

    def wait(what, total):
        totals.append(total)
        return types.SimpleNamespace(done=done.append)

    trainer.begin(batch_size, types.SimpleNamespace(say=said.append, wait=wait))
    assert done == list(range(1, totals[0] + 1))  # it is said how far the search is, to the end
    return trainer, float(said[0].partition("lowest probability of its class ")[2])


@pytest.mark.parametrize(("batch_size", "channel"), [(32, None), (8, lossy)])  # at once, and two at a time
def test_a_codebook_has_pictures_that_the_classifier_reads_and_keeps_them(images, reader, batch_size, channel):
    """Over six seeds of classifier and pictures, with AVX-512 and without, the lowest was 0.9987 to 1.0."""
    trainer, lowest = codebook_trainer(reader, batch_size, channel)
    transform = trainer.network
    shown = np.unique(inference.protect(transform, np.uint8(images * 255)), axis=0)
    assert 1 <= len(shown) <= 10
    kernel = transform.get_layer("pictures").kernel.numpy()
    pictures = inference.to_uint8(1 / (1 + np.exp(-kernel.reshape(10, 16, 16, 3))))
    logits = inference.logits(reader, pictures)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    unchanged = probabilities.diagonal().min()
    if channel is None:
        np.testing.assert_allclose(unchanged, lowest, atol=0.01)
    assert 0.9 < lowest <= unchanged + 0.01  # the lowest of all ways
    frozen = reader.get_weights()
    trainer.compile(optimizer=keras.optimizers.SGD(0.05), jit_compile=False)
    labels = np.arange(8) % 3
    losses = [float(trainer.train_on_batch(images, labels, return_dict=True)["loss"]) for _ in range(2)]
    assert losses[1] != losses[0]
    np.testing.assert_array_equal(transform.get_layer("pictures").kernel.numpy(), kernel)
    for before, now in zip(frozen, reader.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)


def test_a_codebook_is_validated_with_what_the_classifier_makes_of_its_pictures(images, reader):
    trainer, _ = codebook_trainer(reader)
    trainer.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    plain = np.round(images * 255) / np.float32(255)
    sent = inference.protect(trainer.network, np.uint8(np.round(plain * 255)))
    read = inference.classify(reader, sent)
    for labels, expected in ((read, 1.0), ((read + 1) % 10, 0.0)):
        assert trainer.evaluate(plain, labels, verbose=0, return_dict=True)["accuracy"] == expected
        trainer.reset_metrics()


def test_one_cycle_rises_for_a_fifth_and_falls_to_zero():
    rates = [float(OneCycle(0.2, 100)(step)) for step in (0, 10, 20, 60, 100)]
    np.testing.assert_allclose(rates, [0.01, 0.105, 0.2, 0.1, 0.0], rtol=1e-5, atol=1e-8)


def test_steps_fall_at_the_published_epochs():
    schedule = Steps(0.1, 200)
    rates = [float(schedule(step)) for step in (0, 59, 60, 119, 120, 159, 160, 199)]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.02, 0.02, 0.004, 0.004, 0.0008, 0.0008], rtol=1e-5)
