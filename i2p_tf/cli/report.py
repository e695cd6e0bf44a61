"""Makes a report of one or several runs: what was protected, what attacks got back, what it costs.

  bin/report --run_dir=runs/digits_resnet20
  bin/report --run_dir=runs/paper,runs/adversarial --output=docs/results/comparison
  bin/report --page=docs/results/paper_table

Writes report.html, one page that needs nothing else, and the same as report.md, whose pictures lie in report/: into the
run, or into --output. Attacks nothing by itself: run bin/attack before. Several runs are compared in one table;
bin/report runs/* takes them without --run_dir too. --page makes one table of recorded runs instead, each the
results.json of a run as NAME.json in that folder.
"""

import pathlib
from typing import NoReturn

from absl import flags

from i2p_tf.cli import app
from i2p_tf.errors import InputError
from i2p_tf.files import write_atomically
from i2p_tf.run_dir import RunDir

FLAGS = flags.FlagValues()
FLAGS.set_gnu_getopt()  # flags may stand behind the runs
flags.DEFINE_list(
    "run_dir", [], "run directory of bin/train, or several with commas; required, or as arguments", flag_values=FLAGS
)
flags.DEFINE_string(
    "output",
    None,
    "folder to write the report into; the run itself if not given, for several runs required",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "page", None, "folder of recorded runs, NAME.json, to write a README.md with their table into", flag_values=FLAGS
)


def main(arguments: list[str]) -> None:
    runs = FLAGS.run_dir + arguments
    if FLAGS.page is not None:
        return _write_page(FLAGS.page, runs)
    if not runs:
        raise InputError("--run_dir is missing; it is a directory that bin/train has written")
    if len(runs) > 1 and not FLAGS.output:
        raise InputError(f"--output is missing: where the report on {len(runs)} runs is to lie")
    if FLAGS.output and pathlib.Path(FLAGS.output).exists() and not pathlib.Path(FLAGS.output).is_dir():
        raise InputError(f"--output={FLAGS.output} is no folder")
    from i2p_tf.report import document, galleries, markdown, page, record

    report = document.report([record.read(path) for path in runs])
    place = RunDir(FLAGS.output or runs[0])  # another folder has the same names
    texts = {
        place.report_markdown: markdown.render(report, place.report_pictures.name),
        place.report: page.render(report),
    }
    for picture in report.pictures:
        with write_atomically(place.report_pictures / picture.name) as temporary:
            temporary.write_bytes(picture.png)
    for path, text in texts.items():
        with write_atomically(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(path)
    shown = {picture.name for picture in report.pictures}
    for path in place.report_pictures.glob("*.png"):
        if galleries.is_picture(path.name) and path.name not in shown:  # of a former report
            path.unlink()


def _write_page(folder, runs):
    """The table of recorded runs, which are no runs of this command."""
    if runs or FLAGS.output:
        raise InputError("--page makes its table of the files in its folder alone; leave runs and --output out")
    from i2p_tf.report import paper_table, record, recorded_page

    files = recorded_page.records(folder)
    print(recorded_page.write(paper_table.page([record.recorded(file) for file in files]), folder))


def run() -> NoReturn:
    app.run(__doc__, FLAGS, main)


if __name__ == "__main__":
    run()
