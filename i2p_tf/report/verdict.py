"""What a run shows, in plain words, and no more than was measured."""

from i2p_tf.attacks.sanity_checks import TOLERANCE
from i2p_tf.attacks.suite import SUITES
from i2p_tf.attacks.threat_models import THREAT_MODELS
from i2p_tf.encryption import SCHEMES
from i2p_tf.objectives.table import OBJECTIVES
from i2p_tf.report import codewords, findings, names
from i2p_tf.report.blocks import Alarm, Notice
from i2p_tf.report.findings import SSIM, TOP1
from i2p_tf.report.formats import code, count, percent, ssim
from i2p_tf.report.record import Record

# What an attacker on a keyed method holds, where h_θ is not what there is to hold.
KEYED_HOLDS = {
    "T1": "any number of pairs of plain and encrypted images of the one key, which stays unknown",
    "T3": "a limited number of such pairs",
}


def notice(record: Record) -> Notice:
    """The verdict on one run."""
    if not record.attacked:
        return _not_attacked(record)
    suite, certain = record.results["attack_suite"], _certain(record)
    if not suite["valid"]:
        return Notice("NOT VALID: a sanity check misbehaves", (*_failures(suite), *certain), alarm=True)
    if findings.exceeds_prior_only(record.results):
        return Notice("Not protected against these attacks", (*certain, *_findings(record)))
    return Notice(
        f"No attack of the suite {code(suite['name'])} got more than the tolerance of {TOLERANCE} beyond the class",
        (
            *certain,
            *_findings(record),
            "This says what these attacks did not find, by SSIM and by re-identification; it proves no protection. "
            f"Others, or longer trained ones, may find more.{_longer(suite['name'])} Linkage and other attributes, "
            "where they are measured, are no part of this verdict.",
        ),
    )


def short(record: Record) -> str:
    """The verdict in a cell of a table."""
    if not record.attacked:
        return "not attacked"
    if not record.results["attack_suite"]["valid"]:
        return Alarm("NOT VALID")
    return (
        "reconstructed beyond the prior-only baselines"
        if findings.exceeds_prior_only(record.results)
        else f"not beyond prior-only baselines + {TOLERANCE}"
    )


def method(record: Record) -> str:
    """How the run protects, in a cell of a table."""
    config = record.config
    if record.encryption:
        return f"{SCHEMES[record.encryption].help.partition(',')[0]}, keyed"
    network = code(config["transform"])
    return f"{OBJECTIVES[config['objective']].label.format_map(config)}; {network}"


def holds(record: Record, threat_model: str) -> str:
    """What an attacker of this run holds, in words."""
    if record.encryption and threat_model in KEYED_HOLDS:
        return KEYED_HOLDS[threat_model]
    return THREAT_MODELS[threat_model].holds if threat_model in THREAT_MODELS else "see docs/attacks.md"


def _certain(record):
    """What no attack can change, before what attacks have found."""
    return (codewords.guarantee(record),) if record.is_codebook else ()


def _not_attacked(record):
    begun = record.run_dir.attacks.is_dir()
    said = "only what is certain by construction" if record.is_codebook else "nothing"
    title = f"{'Attacked, but not to the end' if begun else 'Not attacked'}: {said} can be said"
    return Notice(
        title,
        (
            *_certain(record),
            "How much of the plain pictures can be got back has not been measured. That they look changed, or that "
            f"their SSIM is low, says little about it. {code(f'bin/attack --run_dir={record.place}')} measures it"
            f"{' and goes on where it was stopped' if begun else ''}; then make this report again.",
        ),
    )


def _findings(record):
    return (_strongest(record), _surplus(record), _reidentified(record), _trust(record))


def _failures(suite):
    lines = tuple(f"Sanity check {line}." for line in suite["failed_sanity_checks"])
    return (*lines, f"Until that is mended, no figure of these attacks proves anything.{_longer(suite['name'])}")


def _longer(name):
    names = tuple(SUITES)
    following = names[names.index(name) + 1 :] if name in names else ()
    return f" A longer suite: {code(f'bin/attack --suite={following[0]}')}." if following else ""


def _strongest(record):
    best, prior_only = findings.strongest(record.results, SSIM), record.results["prior_only"]
    result = record.results["attacks"][best["attack"]]
    total = len(findings.attacks_by_kind(record.results))
    sample = " of the same images" if "mean_image_ssim" in result else ""
    return (
        f"The strongest of {total} attacks by SSIM ({_name(result, best)}) reconstructs the plain "
        f"pictures with a mean SSIM of {ssim(best['value'])} (n = {count(result['n'])}; 1 is the picture itself). Its "
        f"attacker holds {holds(record, result['threat_model'])}. Without looking, the mean image{sample} gets "
        f"{ssim(findings.mean_image(SSIM, result, record.results))}; the class alone gives away "
        f"{ssim(SSIM.of(prior_only['label_only']))}."
    )


def _name(result, best):
    return names.plain(result.get("attack", best["attack"]))


def _listed(kinds):
    return "; ".join(map(names.plain, kinds))


def _surplus(record):
    kind, surplus = findings.largest_surplus(record.results)
    return (
        "Most beyond the prior-only baselines, those of the same images where it is a sample, gets the attack "
        f"“{names.plain(kind)}”: {surplus:+.3f} of SSIM. More than the tolerance of {TOLERANCE} counts as "
        "reconstructed."
    )


def _trust(record):
    results = record.results["attacks"].values()
    sanity_checks = [result for result in results if "ssim" in result and result["sanity_check"]]
    checked = dict.fromkeys(result["attack"] for result in sanity_checks if result.get("attack"))
    without = [kind for kind in findings.attacks_by_kind(record.results) if kind not in checked]
    others = f" The others have none: {_listed(without)}." if without else ""
    return (
        f"All {len(sanity_checks)} sanity checks behave: what has to be reconstructed is, and where nothing is left "
        f"nothing is found. They speak for the attacks that were tried on them: {_listed(checked)}.{others}"
    )


def _reidentified(record):
    best = findings.strongest(record.results, TOP1)
    result = record.results["attacks"][best["attack"]]
    gallery = record.results["attack_suite"]["evaluation_classifier"]["n"]
    return (
        "Re-identification top-1: of the images that the strongest attack by it reconstructs "
        f"({_name(result, best)}; n = {count(result['n'])}), {percent(best['value'])} lead to their source as the "
        f"first hit among {count(gallery)} plain images. By chance that is {percent(1 / gallery)}; with the "
        f"class alone, {percent(TOP1.of(record.results['prior_only']['label_only']))}."
    )
