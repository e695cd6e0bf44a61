"""What a report says of runs, whatever it is rendered to."""

import dataclasses
import io
import json

import pytest
from PIL import Image

from i2p_tf.attacks.suite import SUITES
from i2p_tf.errors import InputError
from i2p_tf.report import document, formats, names, record
from i2p_tf.report.blocks import Commands, Figures, Gallery, Notice, Paragraph, Plot, Sheet, Table


def report_on(*run_dirs):
    return document.report([record.read(run_dir.path) for run_dir in run_dirs])


def blocks(report, kind):
    return [block for block in report.blocks if isinstance(block, kind)]


def verdict(run_dir):
    return blocks(report_on(run_dir), Notice)[0]


def table(report, caption):
    return next(block for block in blocks(report, Table) if block.caption.startswith(caption))


def words(report):
    return " ".join(block.text for block in blocks(report, Paragraph))


def change(run_dir, function):
    results = run_dir.read_results()
    function(results)
    run_dir.results.write_text(json.dumps(results))


def test_the_verdict_is_the_strongest_attack_with_its_baselines(write_run):
    notice = verdict(write_run())
    assert notice.title == "Not protected against these attacks" and not notice.alarm
    text = " ".join(notice.texts)
    assert "mean SSIM of 0.710 (n = 2,000" in text
    assert "the mean image gets 0.131; the class alone gives away 0.146" in text
    assert "gets the attack “inverse network”: +0.564 of SSIM. More than the tolerance of 0.02 counts" in text
    assert (
        "All 3 sanity checks behave" in text
        and "tried on them: inverse network. The others have none: what is sent, as it is." in text
    )
    assert "50% lead to their source as the first hit among 2,000" in text and "By chance that is 0.05%" in text


def test_a_code_has_a_row_for_each_number_of_bits_and_its_reader(write_run):
    run_dir = write_run()
    assert not any(block.caption.startswith("Accuracy of the reader") for block in blocks(report_on(run_dir), Table))

    def read_codes(results):
        results |= {"bits": 64, "accuracy_by_bits": {"8": 0.71, "64": 0.92, "512": 0.93, "n": 10_000}}
        results["cost"] |= {"reader_macs": 30_000_000, "reader_parameters": 1_234_567}

    change(run_dir, read_codes)
    report = report_on(run_dir)
    assert table(report, "Accuracy of the reader, by the bits").rows == (
        ("8", "0.7100", "10,000"),
        ("64, as the run sends", "0.9200", "10,000"),
        ("512", "0.9300", "10,000"),
    )
    assert "of 30.0 million MACs an image and 1,234,567 parameters" in words(report)
    rows = table(report, "Cost of one image").rows
    assert rows[1] == ("reader of codes, in the cloud", "30.0", "0.74", "1,234,567")
    change(run_dir, lambda results: results["cost"].update(reader_macs=None))
    assert table(report_on(run_dir), "Cost of one image").rows[1][1:3] == ("unknown", "unknown")
    change(run_dir, lambda results: results["accuracy_by_bits"].pop("n"))
    with pytest.raises(InputError, match="accuracy_by_bits"):
        report_on(run_dir)


def test_what_is_read_after_each_channel_stands_beside_the_accuracy(write_run):
    run_dir = write_run()
    rows = table(report_on(run_dir), "Accuracy on protected images after each channel").rows
    assert [row[1] for row in rows] == ["0.8711", "0.8701", "0.8601", "0.8501"]
    change(run_dir, lambda results: results.pop("channels"))  # as before this version
    assert "after each channel" not in " ".join(block.caption for block in blocks(report_on(run_dir), Table))


def test_a_codebook_is_named(write_run):
    run_dir = write_run(transform="codebook", objective="codebook")
    assert "one picture for each class" in words(report_on(run_dir))


def run_of_a_codebook(write_run, **changes):
    """With the pictures that it sends, of one colour each."""
    run_dir = write_run(transform="codebook", objective="codebook", **changes)
    change(run_dir, lambda results: results.update(codewords=3))
    sheet = Image.new("RGB", (96, 32))
    for index in range(3):
        sheet.paste((100 * index, 0, 0), (32 * index, 0, 32 * index + 32, 32))
    sheet.save(run_dir.codewords)
    return run_dir


def test_what_is_certain_stands_before_what_attacks_have_not_found(write_run):
    notice = verdict(run_of_a_codebook(write_run, ssim=(0.15,), top1=0.003))
    assert "one of 3 fixed pictures" in notice.texts[0] and "that class (1.58 bits at most)" in notice.texts[0]
    assert "it proves no protection" in notice.texts[-1]
    notice = verdict(write_run("other", transform="codebook", objective="codebook", attacked=False))
    assert "only what is certain by construction" in notice.title
    assert "one of as many fixed pictures as there are classes" in notice.texts[0]  # of an earlier version


def test_the_sheet_of_a_codebook_shows_each_picture_with_its_class(write_run):
    run_dir = run_of_a_codebook(write_run)
    (sheet,) = blocks(report_on(run_dir), Sheet)
    assert [picture.title for picture in sheet.pictures] == ["plane", "car", "bird"]
    reds = [Image.open(io.BytesIO(picture.png)).getpixel((16, 16))[0] for picture in sheet.pictures]
    assert reds == [0, 100, 200]
    change(run_dir, lambda results: results.pop("confusion"))  # more classes than are counted
    assert [picture.title for picture in blocks(report_on(run_dir), Sheet)[0].pictures][2] == "class 2"
    change(run_dir, lambda results: results.update(codewords=1000))
    assert blocks(report_on(run_dir), Sheet)[0].caption == "What is sent for the first 100 of 1,000 classes"
    run_dir.codewords.unlink()
    assert not blocks(report_on(run_dir), Sheet) and "pictures of the codebook are not there" in words(
        report_on(run_dir)
    )
    assert not blocks(report_on(write_run("other")), Sheet)


def test_the_accuracy_of_a_codebook_is_said_to_be_the_devices(write_run):
    text = words(report_on(run_of_a_codebook(write_run)))
    assert "device's own" in text and "a table of 3 entries" in text and "carry no confidence" in text
    other = words(report_on(write_run("other")))
    assert "device's own" not in other and "carry no confidence" not in other


def test_pictures_and_three_figures_stand_above_the_verdict(write_run):
    gallery, figures, notice = report_on(write_run()).sections[0].blocks
    assert [picture.rows[2] for picture in gallery.pictures] == ["reconstructed", "class alone"]
    columns = [Image.open(io.BytesIO(gallery.pictures[0].png)).getpixel((x, 0))[0] // 20 for x in range(48, 480, 96)]
    assert columns == [0, 2, 4, 7, 9]
    assert [figure.value for figure in figures.items] == ["87.1%", "SSIM 0.710", "50%"]
    assert "sent plain, 88.6%" in figures.items[0].text and "class alone gives 0.146" in figures.items[1].text
    assert isinstance(notice, Notice)


@pytest.mark.parametrize(
    ("changes", "value"), [({"attacked": False}, "not measured"), ({"failed": ["x"]}, "not valid")]
)
def test_figures_that_are_not_there_or_prove_nothing_are_not_shown(changes, value, write_run):
    (figures,) = blocks(report_on(write_run(**changes)), Figures)
    assert [figure.value for figure in figures.items] == ["87.1%", value, value]


def test_confidence_stands_beside_that_on_plain_pictures(write_run):
    run_dir = write_run()
    rows = {row[0]: row[1:] for row in table(report_on(run_dir), "Confidence").rows}
    assert rows["expected calibration error"] == ("0.0211", "0.0991", "10,000")
    assert rows["accuracy on the most confident 50%"] == ("0.9900", "0.9900", "10,000")
    change(run_dir, lambda results: [results.pop(name) for name in ("confidence", "confusion")])
    assert "Confidence: not measured; `bin/evaluate --run_dir=run`" in words(report_on(run_dir))


def test_classes_and_what_they_are_taken_for(write_run):
    report = report_on(write_run())
    assert table(report, "Accuracy of each class").rows[2] == ("bird", "car (465)", "0.8791", "0.8335", "3,334")
    matrix = table(report, "Confusion matrix, protected")
    assert matrix.columns == ("class", "plane", "car", "bird") and matrix.rows[0][1:] == ("2,900", "400", "33")
    assert matrix.rows[0][1].share == pytest.approx(0.87, abs=0.001)


def test_many_classes_have_no_matrix(write_run):
    run_dir = write_run()
    counts = [[int(row == column and row > 0) for column in range(30)] for row in range(30)]
    confusion = {"classes": [f"class {index}" for index in range(30)], "plain": counts, "protected": counts, "n": 29}
    change(run_dir, lambda results: results.update(confusion=confusion))
    report = report_on(run_dir)
    assert table(report, "Accuracy of each class").rows[0] == ("class 0", "–", "–", "–", "0")
    assert not [block for block in blocks(report, Table) if block.caption.startswith("Confusion")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("inverse_network_unet_small_mse_ssim_class", "small U-Net, squared error and SSIM, sees ψ's answer"),
        ("inverse_network_residual_mse_1000_pairs", "residual network, squared error, 1,000 leaked pairs"),
        ("inverse_network_unet_tiny_mse_ssim_other_pictures_12ab34", "SSIM, learned from other pictures"),
        ("inverse_network_residual_decoder_mse", "inverse network, residual decoder, squared error"),
        ("gan_unet_tiny", "unpaired GAN, tiny U-Net"),
        ("flow_unet_small", "best of several pictures drawn by a flow, small U-Net"),
        ("label_only", "class alone"),
        ("some_new_attack", "some new attack"),
    ],
)
def test_attacks_have_plain_names(name, words):
    assert names.plain(name).endswith(words)


def test_every_attack_of_a_suite_has_a_name_of_its_own():
    for suite in SUITES.values():
        found = [attack.name for attack in suite.everything]
        shown = {names.plain(name) for name in found}
        assert len(shown) == len(found) and not any("_" in name.replace("h_θ", "") for name in shown)


@pytest.mark.parametrize(
    ("ssim", "top1", "reconstructed"),
    [
        (0.160, 0.0030, False),  # within the tolerance of the sanity checks
        (0.170, 0.0030, True),
        (0.140, 0.0070, False),  # 14 hits where the class alone gives 5: that may be luck
        (0.140, 0.0085, True),
    ],
)
def test_what_counts_as_more_than_the_baselines(ssim, top1, reconstructed, write_run):
    notice = verdict(write_run(ssim=(ssim,), top1=top1))
    beginning = "No attack of the suite `quick` got more than the tolerance of 0.02 beyond"
    assert notice.title.startswith("Not protected" if reconstructed else beginning)
    assert reconstructed or "it proves no protection" in " ".join(notice.texts)


def test_a_failed_sanity_check_is_an_alarm_with_its_remedy_and_no_finding(write_run):
    line = "shifted is reconstructed with a mean SSIM of 0.300 where at least 0.8 is due; take a longer suite"
    run_dir = write_run(failed=[line])
    notice = verdict(run_dir)
    assert notice.alarm and notice.title.startswith("NOT VALID")
    assert report_on(run_dir).title.endswith("(NOT VALID)")
    assert f"Sanity check {line}." in notice.texts and "--suite=standard" in notice.texts[-1]
    assert "0.710" not in " ".join(notice.texts)
    rows = {row[0]: row for row in table(report_on(run_dir), "Sanity checks").rows}
    assert "NO" in rows["`shifted`"] and "NO" not in rows["`identity`"]


def test_a_run_without_attacks_says_what_does_it(write_run):
    run_dir = write_run(attacked=False)
    notice = verdict(run_dir)
    assert notice.title.startswith("Not attacked") and "bin/attack --run_dir=run" in notice.texts[0]
    run_dir.attacks.mkdir()
    assert verdict(run_dir).title.startswith("Attacked, but not to the end")


def test_a_run_that_was_not_evaluated_says_so(write_run):
    run_dir = write_run()
    run_dir.results.unlink()
    run_dir.environment.unlink()
    text = words(report_on(run_dir))
    assert text.count("bin/evaluate --run_dir=run") == 4 and "environment.json is missing" in text


def test_repetitions_are_one_row_with_the_strongest_and_the_range(write_run):
    report = report_on(write_run(ssim=(0.71, 0.64, 0.68)))
    rows = {row[0]: row for row in table(report, "All attacks").rows}
    assert rows["inverse network"][3:5] == ("3", "0.710 (from 0.640)")
    assert not any("sanity_check" in name for name in rows)
    headline = table(report, "The strongest attack").rows[0]
    assert headline[2:6] == ("0.710", "0.640 to 0.710", "0.146", "0.131")


def test_one_seed_has_no_range(write_run):
    report = report_on(write_run(ssim=(0.71,)))
    assert table(report, "The strongest attack").rows[0][3] == "one seed"


def test_pictures_are_the_worst_the_typical_and_the_best(write_run):
    _, gallery = blocks(report_on(write_run()), Gallery)
    greys = []
    for picture in gallery.pictures:
        image = Image.open(io.BytesIO(picture.png))
        assert image.size == (picture.width, picture.height) == (288, 288)
        greys.append([image.getpixel((x, 200))[0] // 20 for x in (10, 110, 210)])
    assert greys[0] == [0, 1, 2] and greys[2] == [7, 8, 9]
    assert greys[1] in ([3, 4, 5], [4, 5, 6])
    assert "plain, sent, reconstructed" in gallery.pictures[0].alternative


@pytest.mark.parametrize("damage", ["missing", "damaged", "other form"])
def test_pictures_that_are_no_good_are_left_out_in_words(damage, write_run):
    run_dir = write_run()
    samples = run_dir.attack("quick", "inverse_network_seed0") / "samples.png"
    samples.unlink()
    if damage == "damaged":
        samples.write_bytes(b"\x89PNG\r\n")
    if damage == "other form":
        Image.new("RGB", (100, 100)).save(samples)
    report = report_on(run_dir)
    assert not blocks(report, Gallery)
    assert "its samples.png can't be shown" in words(report)


def test_runs_are_compared_with_the_first_one(write_run):
    first = write_run("first")
    same = write_run("same", ssim=(0.15,), top1=0.003, transform="bottleneck", objective="adversarial")
    other = write_run("other", dataset="cifar100")
    invalid = write_run("invalid", failed=["identity is bad"])
    plain = write_run("plain", attacked=False)
    found = {kind: {"top1": top1, "top5": 0.9} for kind, top1 in (("protected", 0.25), ("plain", 0.8), ("chance", 0.1))}
    change(same, lambda results: results.update(linkage=found | {"n": 9}))
    change(invalid, lambda results: results["attack_suite"].update(name="standard"))
    report = report_on(first, same, other, invalid, plain)
    assert report.sections[0].title == "Comparison"
    rows = table(report, "The runs side by side").rows
    assert [row[0] for row in rows] == ["1. first", "2. same", "3. other", "4. invalid", "5. plain"]
    assert [row[3] for row in rows] == ["reference", "yes", "NO: other data", "NO: other suite", "no: not attacked"]
    assert [row[2] for row in rows[:2]] == [
        "reconstructed beyond the prior-only baselines",
        "not beyond prior-only baselines + 0.02",
    ]
    assert rows[3][2] == "NOT VALID" and rows[4][2] == "not attacked"
    reconstructed = ("0.710 (from 0.640), n = 2,000", "0.146", "0.5000, n = 2,000", "0.0005")
    assert rows[0][4:] == ("0.8864", "0.8711", *reconstructed, "–", "1.20 ψ", "2,789")
    assert rows[4][6:10] == ("–",) * 4
    assert rows[1][10] == "0.2500"
    accuracy, plot = blocks(report, Plot)[:2]
    assert [dot.name for dot in accuracy.dots] == ["first", "same", "other", "invalid", "plain"]
    assert (accuracy.dots[0].value, accuracy.dots[0].marks) == (0.8711, {"plain images": 0.8864})
    assert [dot.name for dot in plot.dots] == ["first", "same", "other", "invalid: NOT VALID"]
    assert len({picture.name for picture in report.pictures}) == len(report.pictures)


def test_a_run_whose_attacker_had_other_pictures_is_not_compared(write_run):
    first, other = write_run("first"), write_run("other")
    change(
        other, lambda results: results["attacks"]["inverse_network_seed0"].update(pairs_from="folder:/somewhere/set")
    )
    rows = table(report_on(first, other), "The runs side by side").rows
    assert [row[3] for row in rows] == ["reference", "NO: other attackers"]


def test_a_run_whose_plain_accuracy_is_not_known_is_compared(write_run):
    first, other = write_run("first"), write_run("other")
    change(other, lambda results: results["accuracy"].pop("plain"))
    report = report_on(first, other)
    assert table(report, "The runs side by side").rows[1][4] == "–"
    assert blocks(report, Plot)[0].dots[1].marks == {}


def test_the_reference_is_a_run_that_was_attacked(write_run):
    report = report_on(write_run("plain", attacked=False), write_run("first"), write_run("second"))
    assert [row[3] for row in table(report, "The runs side by side").rows] == ["no: not attacked", "reference", "yes"]


def test_a_keyed_method_is_described_as_one(write_run):
    of_run = record.read(write_run().path)
    costs = {name: value for name, value in of_run.results["cost"].items() if name.startswith("classifier")}
    results = of_run.results | {"cost": costs}
    keyed = dataclasses.replace(of_run, config=of_run.config | {"encryption": "pe"}, results=results)
    report = document.report([keyed])
    text = words(report)
    assert "PE, pixel-based encryption, all with one key" in text and "h_θ is public" not in text
    assert "sent plain" not in blocks(report, Figures)[0].items[0].text
    assert "pairs of plain and encrypted images of the one key" in " ".join(blocks(report, Notice)[0].texts)
    assert [row[0] for row in table(report, "Cost").rows] == ["classifier ψ, in the cloud"]
    rows = table(document.report([of_run, keyed]), "The runs side by side").rows
    assert rows[1][1] == "PE, keyed" and rows[1][10] == "–"


def test_a_value_below_zero_lowers_the_scale(write_run):
    plots = blocks(report_on(write_run(ssim=(-0.13,))), Plot)
    assert plots[0].low == pytest.approx(-0.2) and plots[0].high == 1.0


def test_no_folder_of_the_computer_is_told(write_run):
    run_dir = write_run(
        dataset="folder:/home/someone/faces", data_dir="/home/someone/data", feature_weights="/home/someone/vgg.h5"
    )
    assert "someone" not in repr(report_on(run_dir)) and "folder:faces" in repr(report_on(run_dir))


@pytest.mark.parametrize(
    ("baseline", "ssim", "surplus", "reconstructed"),
    [
        (0.28, 0.30, "+0.005", False),  # of a sample that is easier than all images, and of one that is harder
        (0.28, 0.40, "+0.105", True),
        (0.05, 0.08, "+0.015", False),
        (0.05, 0.15, "+0.085", True),
    ],
)
def test_an_attack_on_a_sample_has_the_baselines_of_that_sample(baseline, ssim, surplus, reconstructed, write_run):
    run_dir = write_run(ssim=(0.10,), top1=0.003)
    sample = {"threat_model": "T2", "attack": "gradient_inversion", "n": 20, "mean_image_ssim": baseline}

    def add(results):
        attack = results["attacks"]["inverse_network_seed0"]
        summary = attack["ssim"] | {"mean": ssim}
        results["attacks"]["gradient_inversion"] = attack | sample | {"ssim": summary}
        sanity_check = attack | sample | {"ssim": attack["ssim"] | {"mean": baseline}, "sanity_check": True}
        results["attacks"]["sanity_check_gradient_inversion_constant"] = sanity_check
        results["attack_suite"]["strongest"]["ssim"].update(attack="gradient_inversion", value=ssim)

    change(run_dir, add)
    notice = verdict(run_dir)
    assert notice.title.startswith("Not protected") == reconstructed
    assert "(n = 20; 1 is" in notice.texts[0]
    assert f"the mean image of the same images gets {baseline:.3f};" in notice.texts[0]
    assert f"gets the attack “gradient descent through h_θ”: {surplus} of SSIM" in notice.texts[1]
    assert "tried on them: inverse network; gradient descent through h_θ." in notice.texts[3]
    rows = {row[0]: row for row in table(report_on(run_dir), "Sanity checks").rows}
    assert rows["`gradient_inversion_constant`"][1:] == (
        f"mean image's {baseline:.3f} ± 0.02",
        f"{baseline:.3f}",
        "yes",
        "20",
    )


def test_commands_are_those_that_can_be_typed_again(write_run, tmp_path, monkeypatch):
    run_dir = write_run("my run", ssim=(0.71, 0.64))
    for name in ("inverse_network_seed0", "inverse_network_seed1"):
        change(run_dir, lambda results, name=name: results["attacks"][name].update(seed=5 + int(name[-1])))
    attack = "bin/attack --run_dir='my run' --suite=quick --seed=5 --repetitions=2"
    assert attack in blocks(report_on(run_dir), Commands)[0].lines
    monkeypatch.chdir(tmp_path.parent)
    relative = document.report([record.read(f"{tmp_path.name}/my run")])
    assert f"bin/report --run_dir='{tmp_path.name}/my run'" in blocks(relative, Commands)[0].lines


def test_linkage_stands_beside_plain_images_and_chance(write_run):
    run_dir = write_run()
    found = {"protected": {"top1": 0.25, "top5": 0.5}, "plain": {"top1": 0.99, "top5": 1.0}}
    found |= {"chance": {"top1": 0.0005, "top5": 0.0025}, "n": 2000, "shift": 1}
    change(run_dir, lambda results: results.update(linkage=found))
    rows = table(report_on(run_dir), "Linkage").rows
    assert [row[1] for row in rows] == ["0.2500", "0.9900", "0.0005"]


def test_attributes_and_keys_have_their_guesses_beside_them(write_run):
    run_dir = write_run()
    read = {"protected": 0.6, "plain": 0.8, "majority": 0.2, "majority_given_class": 0.55, "n": 2000, "seed": 0}
    keys = {"choices_bits": 5706.2, "key_bits": 256.0, "shrunken_key_bits": 12, "recognised": 0.95, "n": 20}
    keys |= {"method": "pe", "chance": 2**-12}
    change(run_dir, lambda results: results.update(attribute_inference={"colour": read}, brute_force=keys))
    report = report_on(run_dir)
    assert table(report, "Other attributes").rows == (("`colour`", "0.6000", "0.8000", "0.2000", "0.5500", "2,000"),)
    rows = table(report, "Brute force").rows
    assert [row[1] for row in rows] == ["5,706", "256", "0.9500", "0.0002"] and "keys of 12 bits" in rows[2][0]


def test_a_training_that_taught_nothing_is_an_alarm(write_run):
    run_dir = write_run()
    assert "taught the classifier nothing" not in str(report_on(run_dir))
    at_chance = {"plain": False, "protected": True, "chance": 0.1}
    change(run_dir, lambda results: results.update(at_chance=at_chance))
    assert "taught the classifier nothing" in str(report_on(run_dir))


def test_a_measure_that_is_not_known_is_listed(write_run):
    run_dir = write_run()
    change(run_dir, lambda results: results.update(timing={"top1": 0.25, "chance": 0.0005}))
    change(run_dir, lambda results: results["attacks"].update(guess={"sanity_check": False, "bits": 256}))
    report = report_on(run_dir)
    assert ("`top1`", "0.25") in table(report, "Also measured: `timing`").rows
    assert ("`bits`", "256") in table(report, "Also measured: `guess`").rows
    assert "guess" not in str(table(report, "All attacks").rows)


def test_a_channel_that_another_version_did_not_measure(write_run):
    run_dir = write_run()
    change(run_dir, lambda results: results["channels"].pop("resize_2x"))
    rows = table(report_on(run_dir), "Accuracy on protected images after each channel").rows
    assert [row[1] == "not measured" for row in rows] == [False, False, False, True]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda results: results["channels"].update(png="much"), "channels.png is not a finite number"),
        (lambda results: results["accuracy"].pop("protected"), "accuracy.protected is missing"),
        (lambda results: results["accuracy"].update(protected="much"), "accuracy.protected is not a finite number"),
        (
            lambda results: results["protection"]["ssim"].update(mean=float("nan")),
            "protection.ssim.mean is not a finite",
        ),
        (lambda results: results["confidence"].pop("n"), "confidence.n is missing"),
        (lambda results: results["confidence"]["protected"]["rejection"].pop("0.5"), "protected.rejection.0.5 is mis"),
        (lambda results: results["confidence"]["plain"]["rejection"].update(all=1.0), "rejection is not by shares"),
        (lambda results: results["confidence"]["protected"].pop("accuracy_top5"), "protected.accuracy_top5 is missing"),
        (lambda results: results["confusion"]["plain"].pop(), "confusion.plain is not a row of counts for each class"),
        (lambda results: results["confusion"]["plain"][1].pop(), "confusion.plain is not a row of counts for each"),
        (lambda results: results["confusion"]["plain"][1].__setitem__(0, "x"), "confusion.plain.1.0 is not a finite"),
        (lambda results: results["confusion"].update(classes=[1, 2, 3]), "confusion.classes.0 is not a text"),
        (lambda results: results.update(codewords=0), "codewords is not a number above 0"),
        (lambda results: results["attacks"]["as_is"].pop("n"), "attacks.as_is.n is missing"),
        (lambda results: results.update(prior_only=[]), "prior_only is not an object"),
        (lambda results: results.pop("prior_only"), "prior_only is missing"),
        (lambda results: results["attack_suite"].update(valid=1), "attack_suite.valid is not true or false"),
        (lambda results: results["attacks"].pop("inverse_network_seed0"), ".attack is not among the attacks"),
        (lambda results: results["accuracy"].update(plain="much"), "accuracy.plain is not a finite number"),
        (lambda results: results["accuracy"].update(plain=10**400), "accuracy.plain is not a finite number"),
        (lambda results: results["cost"].update(transform_macs="many"), "cost.transform_macs is not a finite number"),
        (lambda results: results["cost"].pop("transform_parameters"), "cost.transform_parameters is missing"),
        (lambda results: results["cost"].update(classifier_macs=0), "cost.classifier_macs is not a number above 0"),
        (lambda results: results["bytes"].update(raw=0), "bytes.raw is not a number above 0"),
        (
            lambda results: results["attack_suite"]["evaluation_classifier"].update(n=0),
            "attack_suite.evaluation_classifier.n is not a number above 0",
        ),
        (lambda results: results["attack_suite"].update(environment=[1]), "attack_suite.environment is not an object"),
        (
            lambda results: results["attack_suite"].update(failed_sanity_checks=[1]),
            "failed_sanity_checks.0 is not a text",
        ),
        (
            lambda results: results["attack_suite"]["strongest"]["ssim"].update(range=[0, 1, 2]),
            "range is not two numbers",
        ),
        (
            lambda results: results["attack_suite"]["strongest"]["ssim"].update(attack="sanity_check_identity"),
            ".attack is not among the attacks",
        ),
        (lambda results: results["attacks"]["as_is"].update(attack=[]), "attacks.as_is.attack is not a text"),
        (lambda results: results["attacks"]["as_is"].update(seed="one"), "attacks.as_is.seed is not a finite number"),
        (lambda results: results["attacks"]["as_is"].update(mean_image_ssim=""), "as_is.mean_image_ssim is not a fin"),
    ],
)
def test_damaged_results_are_named(damage, message, write_run):
    run_dir = write_run()
    change(run_dir, damage)
    with pytest.raises(InputError, match=message) as error:
        record.read(run_dir.path)
    assert str(run_dir.results) in str(error.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9975, "99.8%"), (1.0, "100%"), (0.0005, "0.05%"), (0.0, "0%"), (0.99999, "over 99.9%")],
)
def test_percent(value, text):
    assert formats.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(33_051, "0.0331"), (48_857_088, "48.9"), (1_020_000_000, "1,020"), (0, "0")]
)
def test_millions(value, text):
    assert formats.millions(value) == text
