"""Measure a weights file on street images that it has not seen: `python -m training.evaluate W`.

Result files are measured by `python -m training.evaluate files KIND ...`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from centernet_ros.backends import choose_device
from centernet_ros.checkpoint import load_model
from centernet_ros.tasks import build_task
from training import evaluate_files
from training.data.street_samples import StreetSamples
from training.engine import evaluate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; gives the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["files"]:
        return evaluate_files.main(given[1:])
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("weights", help="weights file")
    parser.add_argument("--seed", type=int, default=3, help="seed of the street images")
    parser.add_argument("--images", type=int, default=500, help="number of images")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare images")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(given)
    try:
        device = choose_device(options.device)
        model, preset = load_model(options.weights)
    except ValueError as error:
        print(f"training.evaluate: {error}", file=sys.stderr)
        return 1
    task = build_task(preset.task, len(preset.class_names))
    samples = StreetSamples(options.seed, options.images, preset.task)
    metrics = evaluate(model.to(device), task, preset, samples, options.workers)
    print(metrics.table())
    if options.json:
        options.json.write_text(json.dumps(metrics.to_dict(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
