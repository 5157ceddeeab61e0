"""The command as the tests run it."""

import pytest

from training.check.__main__ import main


@pytest.fixture
def check(tmp_path, capsys):
    """Run the command; gives its exit status and what it prints."""

    def run(*arguments):
        status = main([*map(str, arguments), "--sheet", str(tmp_path / "sheet.png")])
        return status, capsys.readouterr().out

    return run
