"""How a run is followed: a progress bar, JSON lines, and TensorBoard where it is wanted."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from training.config import RunConfig
from training.engine import StepResult
from training.state import cannot_write, written_whole
from training.strict import ConfigError

LOG_FILE = "log.jsonl"


class RunLog:
    """One line of every step; a bar with loss, images per second and the time that is left."""

    def __init__(self, config: RunConfig, first_step: int, total: int, *, silent: bool) -> None:
        """Begin, or go on behind the lines of the steps that are done.

        Args:
            config: the run.
            first_step: steps done before.
            total: steps of the whole run.
            silent: write and show nothing, as another process does it.

        Raises:
            ConfigError: TensorBoard is wanted and not installed.
        """
        self._batch_size = config.optimiser.batch_size
        self._silent = silent
        self._curves = None if silent or not config.tensorboard else _open_tensorboard(config)
        self._bar = tqdm(
            total=total, initial=first_step, desc="training", unit="step", disable=silent
        )
        self._path = config.folder / LOG_FILE
        if not silent:
            cut_log(self._path, first_step)
            self._log = self._path.open("a", buffering=1)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if not self._silent:
            # It would try once more to write what could not be written, which was told already.
            with suppress(OSError):
                self._log.close()
        if self._curves is not None:
            self._curves.close()

    def add(self, result: StepResult) -> None:
        """Add one step.

        Raises:
            ConfigError: The line cannot be written, as where the disk is full.
        """
        if self._silent:
            return
        speed, waiting = self._batch_size / result.seconds, result.waited / result.seconds
        line: dict[str, Any] = {
            "step": result.step,
            "loss": result.loss,
            "parts": result.parts,
            "learning_rate": result.learning_rate,
            "waited": round(result.waited, 4),
            "images_per_second": float(f"{speed:.4g}"),
        }
        try:
            self._log.write(json.dumps(line) + "\n")
        except OSError as error:
            raise cannot_write(self._path, error) from error
        if self._curves is not None:
            values = {"loss": result.loss, **{f"losses/{n}": v for n, v in result.parts.items()}}
            for name, value in {**values, "learning_rate": result.learning_rate}.items():
                self._curves.add_scalar(name, value, result.step)
        status = f"loss {result.loss:.3f}, {speed:.1f} images/s, {waiting:.0%} waiting for images"
        self._bar.set_postfix_str(status, refresh=False)
        self._bar.update()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; a last one that a kill cut short is left out."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


def cut_log(path: Path, steps: int) -> None:
    """Leave the lines of so many steps: those behind the last saved state are done again.

    Raises:
        ConfigError: The file cannot be written, as where the disk is full.
    """
    if not path.exists():
        return
    lines = [line for line in read_log(path) if line["step"] <= steps]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    if text == path.read_text():
        return
    with written_whole(path) as partial:
        partial.write_text(text)


def _open_tensorboard(config: RunConfig) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError(
            "tensorboard: the package is not installed; pip install tensorboard, or set the key "
            "to false: the same figures stand in log.jsonl"
        ) from None
    return SummaryWriter(str(config.folder))
