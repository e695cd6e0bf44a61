"""Trains the classifier ψ, then the transformation network h_θ against it, and evaluates both: the only entry.

With a conventional keyed method there is no h_θ: ψ alone is trained, on encrypted pictures.
"""

import dataclasses
import functools

import keras

from i2p_tf import drawing, key_file, models
from i2p_tf.calibration import calibrate
from i2p_tf.config import Config
from i2p_tf.data import sources
from i2p_tf.data.dataset import Dataset
from i2p_tf.environment import describe_environment
from i2p_tf.errors import InputError
from i2p_tf.evaluation import evaluate_run
from i2p_tf.files import write_atomically, write_json
from i2p_tf.hints import Values
from i2p_tf.inference import load_classifier, load_protection, protect
from i2p_tf.models.classifiers import applications
from i2p_tf.models.warm_start import start_encoder
from i2p_tf.moving_line import MovingLine
from i2p_tf.objectives.setting import Setting
from i2p_tf.objectives.table import OBJECTIVES
from i2p_tf.objectives.trainer import ClassifierTrainer
from i2p_tf.run_dir import RunDir
from i2p_tf.tables import load
from i2p_tf.training import own_classifier, precision
from i2p_tf.training.devices import OneDevice
from i2p_tf.training.fit import fit
from i2p_tf.training.progress import Progress
from i2p_tf.training.recipe import fit_to_data


@dataclasses.dataclass(frozen=True)
class Given:
    """What an experiment begins with.

    Attributes:
        dataset: a `data.dataset.Dataset`.
        classifier: ψ from a file, wrapped; None where it is trained, or there in the run.
        origin: of that ψ: where it came from and what was recognised.
        backbone: of ψ from `keras.applications`, with its first weights; None where there is none, or it is random.
    """

    dataset: Dataset
    classifier: keras.Model | None = None
    origin: dict | None = None
    backbone: keras.Model | None = None


def read_given(
    config: Config,
    classifier_is_there: bool = False,
    line: MovingLine | None = None,
    dataset: Dataset | None = None,
) -> Given:
    """Reads and checks all that an experiment takes from elsewhere; writes nothing.

    Args:
        config: a `Config`.
        classifier_is_there: whether the run has its ψ already, so that none is read.
        line: a `moving_line.MovingLine` that says how far it is; None for none.
        dataset: the `data.dataset.Dataset`, where it is there already; None to read that of the `Config`.

    Raises:
        InputError: if the data or a classifier can't be had, or do not fit together.
    """
    model = backbone = None
    if not classifier_is_there:
        # First what fails soonest: data may take minutes.
        model = own_classifier.load(config) if config.classifier_path else None
        if config.application and config.classifier_weights != "random":
            backbone = applications.backbone(config.application, config.classifier_weights)
    dataset = dataset or sources.load_for(config, line=line, stored=True)
    config.check_image_size(dataset.image_size)
    if model is None:
        return Given(dataset, backbone=backbone)
    return Given(dataset, *own_classifier.fit_to(config, model, dataset))


def train_and_evaluate(
    config: Config,
    run_dir: RunDir,
    progress: Progress,
    given: Given | None = None,
    devices: OneDevice | None = None,
) -> Values | None:
    """Runs the experiment `config` in `run_dir`, which it has claimed; finished steps are not repeated.

    Args:
        config: a `Config`.
        run_dir: a `RunDir` whose `claim` has been called with `config`.
        progress: a `training.progress.Progress`.
        given: what `read_given` has read; None to read it now.
        devices: that train; None for one.

    Returns:
        The contents of results.json; None in a process that is not the chief, which alone evaluates.

    Raises:
        InputError: if the data or a file can't be used.
        TrainingError: if a loss is not finite.
    """
    given = given or read_given(config, run_dir.classifier.is_file(), progress)
    dataset = given.dataset
    prepare(config, run_dir)
    _report_data(dataset, progress)
    devices = devices or OneDevice()
    if devices.count > 1:
        progress.say(devices.description())
    config = fit_to_data(config, dataset)
    if run_dir.missing(config):
        _check_objective(config, dataset)
        _train(config, given, run_dir, progress, devices)
    return evaluate_run(run_dir, dataset, progress) if devices.is_chief else None


def _train(config, given, run_dir, progress, devices):
    """Trains and saves what the run lacks."""
    dataset = given.dataset
    policy = precision.resolve(config.precision)
    with devices.together():
        for recipe in (config.classifier_recipe, config.transform_recipe):
            devices.check(recipe, len(dataset.train.labels))
        _record_environment(run_dir, policy, config, devices)
    devices.require_same("precision", policy)
    if not run_dir.classifier.is_file():
        _warn_of_random_encoder(config, dataset, progress, given.classifier)
    classifier = _classifier(config, given, policy, run_dir, progress, devices)
    if config.encryption is None and run_dir.missing(config):
        _train_transform(config, dataset, policy, classifier, run_dir, progress, devices)


def _check_objective(config, dataset):
    """Raises an `InputError` now where the objective would raise it when ψ has been trained."""
    check = OBJECTIVES[config.objective].check
    if check and config.encryption is None:
        load(check)(config, dataset)


def _record_environment(run_dir, policy, config, devices):
    """Writes environment.json; refuses to go on with a precision that the run was not begun with."""
    former = run_dir.read_environment()
    begun = former.get("precision", policy)
    if begun != policy and any(run_dir.checkpoints.glob("*.npz")):
        raise InputError(
            f"{run_dir.path} was begun in {begun}, and here it would go on in {policy}; go on where it was begun, or "
            "give another --run_dir"
        )
    batches = {"classifier": config.classifier_recipe.batch_size, "transform": config.transform_recipe.batch_size}
    made = {"precision": policy, "batch_size": batches}
    if devices.count > 1:
        made["devices"] = {"strategy": devices.name, "count": devices.count}
    write_json(run_dir.environment, former | describe_environment() | made)


def prepare(config: Config, run_dir: RunDir) -> None:
    """Makes what a run needs before it learns: with a keyed method a new key; a lost one can't be replaced."""
    if not config.encryption or run_dir.encryption_key.is_file():
        return
    if run_dir.classifier.is_file() or any(run_dir.checkpoints.glob("*.npz")):
        raise InputError(
            f"{run_dir.encryption_key} is missing, and what this run has learned can be used with that key alone; put "
            "it back, or give another --run_dir"
        )
    key_file.create(run_dir.encryption_key)


def _classifier(config, given, policy, run_dir, progress, devices):
    """ψ in float32: of the run, of `classifier_path`, or trained now."""
    dataset = given.dataset
    if run_dir.classifier.is_file():
        return load_classifier(run_dir.classifier, dataset.num_classes)
    if given.classifier is not None:
        classifier = given.classifier
        write_json(run_dir.environment, run_dir.read_environment() | {"classifier": given.origin})
    else:
        keras.utils.set_random_seed(config.seed)
        classifier = _build(policy, lambda: _new_classifier(config, dataset))
        if given.backbone is not None:
            applications.start(classifier, given.backbone)
        trainer = ClassifierTrainer(classifier, config.classifier_recipe.label_smoothing)
        recipe = config.classifier_recipe
        encrypt = load_protection(run_dir, config, dataset.image_size) if config.encryption else None
        run = run_dir, "classifier", progress, encrypt, devices
        fit(trainer, dataset, recipe, config.augmentation, config.seed, *run)
        classifier = _in_float32(classifier, lambda: _new_classifier(config, dataset))
    _save(classifier, run_dir.classifier)
    return classifier


def _train_transform(config, dataset, policy, classifier, run_dir, progress, devices):
    """Trains and saves h_θ by the objective of the `Config`."""

    def new_transform():
        keras.utils.set_random_seed(config.seed)
        return build(lambda: _new_transform(config, dataset, classifier))

    build = functools.partial(_build, policy)
    frozen = _frozen(config, dataset, policy, classifier)
    setting = Setting(config, dataset, frozen, new_transform, build, run_dir, progress)
    trainer = load(OBJECTIVES[config.objective].trainer)(setting)
    features = run_dir.read_environment().get("feature_extractor", {})
    devices.require_same("features", f"{features.get('source')} {features.get('sha256', '')}".strip())
    recipe = config.transform_recipe
    run = run_dir, "transform", progress, None, devices
    fit(trainer, dataset, recipe, config.augmentation, config.seed, *run)
    transform = _in_float32(trainer.result, lambda: _new_transform(config, dataset, classifier))
    if config.has_reader:
        row = config.rows()["transform"]
        new_reader = functools.partial(row.build_reader, dataset.image_size, dataset.num_classes)
        reader, unseen = _in_float32(trainer.reader, new_reader), dataset.validation
        drawings = drawing.cut(protect(transform, unseen.images), config.bits)
        made = {"reader_temperature": calibrate(reader, drawings, unseen.labels)}
        write_json(run_dir.environment, run_dir.read_environment() | made)
        _save(reader, run_dir.reader)
    _save(transform, run_dir.transform)


def _frozen(config, dataset, policy, classifier):
    """ψ for the training of h_θ, in its numbers; an own one stays in float32."""
    frozen = classifier
    if not config.classifier_path:
        frozen = _build(policy, lambda: _new_classifier(config, dataset))
        frozen.set_weights(classifier.get_weights())
    frozen.trainable = False
    return frozen


def _warn_of_random_encoder(config, dataset, progress, own=None):
    """Where a codebook's encoder, itself a classifier, has fewer epochs than ψ has, and does not begin as ψ.

    Of an `own` ψ they are those that the recipe gives to one that is trained.
    """
    start = config.parameters.get("encoder_start")
    if not config.sends_codewords or start is None:
        return
    images = len(dataset.train.labels)
    recipes = config.transform_recipe, config.classifier_recipe
    ours, of_classifier = (recipe.total_epochs(max(1, images // recipe.batch_size)) for recipe in recipes)
    if ours >= of_classifier:
        return
    transform = models.transform(config.transform, dataset.image_size, dataset.num_classes, config.parameters)
    if start == "random" or not start_encoder(transform, own or _new_classifier(config, dataset)):
        progress.warn(
            f"the transform's encoder begins with random weights and has {ours} epochs, where the classifier has "
            f"{of_classifier}; --epochs={of_classifier} gives it as many"
        )


def _new_classifier(config, dataset):
    return models.classifier(config.classifier, dataset.image_size, dataset.num_classes, config.encryption)


def _new_transform(config, dataset, classifier):
    transform = models.transform(config.transform, dataset.image_size, dataset.num_classes, config.parameters)
    if config.parameters.get("encoder_start") == "classifier":
        start_encoder(transform, classifier)
    return transform


def _build(policy, make):
    with precision.dtype_policy(policy):
        return make()


def _in_float32(network, make):
    """The network as it is saved: everything later computes in float32 unless told otherwise."""
    copy = _build("float32", make)
    copy.set_weights(network.get_weights())
    return copy


def _save(model, path):
    with write_atomically(path) as temporary:
        model.save(temporary)


def _report_data(dataset, progress):
    progress.say(dataset.describe_classes())
    counts = f"{len(dataset.train.labels)} training, {len(dataset.validation.labels)} validation"
    progress.say(
        f"{dataset.name}: {counts} and {len(dataset.test.labels)} test images of "
        f"{dataset.image_size}x{dataset.image_size}"
    )
    for line in dataset.skipped:
        progress.say(f"skipped {line}")
    if dataset.skipped:
        progress.say(f"{len(dataset.skipped)} files skipped")
