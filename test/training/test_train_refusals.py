"""A run that cannot end well is refused before it begins, in one line."""

import pytest

from training.train import main


def write_config(folder):
    path = folder / "run.yaml"
    path.write_text(f"output: {folder / 'run'}\noptimiser: {{batch_size: 1}}\n")
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("state.pt", "holds a run already: --resume it or choose another output"),
        *[
            (name, f"holds {name} of a run that cannot be resumed: choose another output, or move")
            for name in (
                "weights.safetensors",
                "best.safetensors",
                "step-00000500.safetensors",
                "log.jsonl",
            )
        ],
    ],
)
def test_a_folder_with_a_run_is_not_overwritten(tmp_path, capsys, name, message):
    config = write_config(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text('{"step": 1}\n')

    assert main(["--config", str(config), "--device", "cpu"]) == 1
    assert message in capsys.readouterr().err
    if name != "state.pt":  # without which there is nothing to go on from
        assert main(["--config", str(config), "--device", "cpu", "--resume"]) == 1
        assert message in capsys.readouterr().err


def test_an_output_that_cannot_be_made_is_one_line(tmp_path, capsys):
    config = write_config(tmp_path)
    (tmp_path / "run").write_text("a file")

    assert main(["--config", str(config), "--device", "cpu"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(tmp_path / "run") in error


def data_of(**options):
    """Command-line options that choose the data."""
    return [text for key, value in options.items() for text in ("--set", f"data.{key}={value}")]


def test_data_without_an_object_of_the_classes_is_refused(tmp_path, coco, kitti, capsys):
    config = write_config(tmp_path)
    pictures = f"{{annotations: {coco.annotations}, images: {coco.images}}}"
    frames = f"{{folder: {kitti.folder}}}"
    for options, classes in (
        (
            data_of(kind="coco", train=pictures, validation=pictures, limit=1, classes="[cup]"),
            "cup",
        ),
        (data_of(kind="kitti", train=frames, validation=frames, classes="[Cyclist]"), "Cyclist"),
    ):
        assert main(["--config", str(config), *options, "--device", "cpu"]) == 1
        error = capsys.readouterr().err
        assert f"there is no object of the classes {classes} in the training data" in error
