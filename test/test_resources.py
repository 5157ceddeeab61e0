"""Files that come with the package are found from anywhere."""

import pytest

from centernet_ros import resources
from centernet_ros.checkpoint import load_model
from centernet_ros.resources import find_file, package_file


def test_files_are_found_as_given_then_in_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_file("config/fastdds.xml") == resources.CHECKOUT / "config" / "fastdds.xml"
    (tmp_path / "config").mkdir()
    own = tmp_path / "config" / "fastdds.xml"
    own.touch()
    assert find_file("config/fastdds.xml") == own
    assert find_file(str(own)) == own
    assert package_file("config/fastdds.xml") != own


def test_a_missing_file_tells_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        find_file("weights/none.safetensors")
    assert str(tmp_path / "weights/none.safetensors") in str(error.value)
    assert str(resources.CHECKOUT / "weights/none.safetensors") in str(error.value)
    assert "(looked for " in str(error.value)


def test_the_home_of_nobody_is_no_folder():
    with pytest.raises(FileNotFoundError, match="file ~nosuchuser/a does not exist"):
        find_file("~nosuchuser/a")


def test_installed_files_lie_in_the_share_folder(tmp_path, monkeypatch):
    """Of any prefix that is sourced; prefixes without the package are not named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resources, "CHECKOUT", tmp_path / "site-packages")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'distribution'}:{tmp_path / 'workspace'}")
    installed = tmp_path / "workspace/share/centernet_ros/weights/a.safetensors"
    installed.parent.mkdir(parents=True)
    installed.touch()
    assert find_file("weights/a.safetensors") == installed
    assert package_file("weights/a.safetensors") == installed
    with pytest.raises(FileNotFoundError) as error:
        find_file("weights/b.safetensors")
    assert str(installed.with_name("b.safetensors")) in str(error.value)
    assert "distribution" not in str(error.value)


def test_shipped_weights_are_loaded_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, preset = load_model("weights/street_pose.safetensors")
    assert preset.task == "pose"
