"""The training loop learns and refuses to go on with nonsense; schedules have their shape."""

import itertools
import math

import pytest
import torch

from centernet_ros.models import build_model
from centernet_ros.tasks import build_task
from training.config import AugmentConfig, DataConfig, OptimiserConfig, RunConfig, StreetSource
from training.data.loading import training_batches
from training.data.opening import open_training_samples
from training.data.street_samples import StreetSamples
from training.engine import TrainingError, evaluate, learning_rate, train


def build(config):
    torch.manual_seed(config.seed)
    model = build_model(config.backbone, config.task, 3).to(memory_format=torch.channels_last)
    return model, build_task(config.task, 3), torch.optim.Adam(model.parameters())


def run(config, after_step):
    model, task, optimiser = build(config)
    steps = train_from_start(config, model, task, optimiser, after_step)
    return model, task, steps


def train_from_start(config, model, task, optimiser, after_step):
    samples = open_training_samples(config)
    return train(
        model,
        task,
        optimiser,
        batches=training_batches(samples, config, 0),
        preset=config.preset(samples.class_names),
        config=config.optimiser,
        steps_per_epoch=config.steps_per_epoch(len(samples)),
        first_step=0,
        after_step=after_step,
    )


def test_two_images_are_learnt_by_heart():
    config = RunConfig(
        backbone="resnet18_pyramid",
        input_size=(96, 320),
        data=DataConfig(train=StreetSource(8, 2), workers=0),
        augment=AugmentConfig(flip=0.0, scale=(1.0, 1.0), shift=0.0, colour=0.0),
        optimiser=OptimiserConfig(
            batch_size=2, epochs=60, warmup_steps=5, learning_rate=1e-3, precision="bfloat16"
        ),
    )
    losses = []
    model, task, steps = run(config, lambda result: losses.append(result.loss) or True)

    assert steps == 60
    assert losses[-1] < 0.3 * losses[0]
    metrics = evaluate(model, task, config.preset("abc"), StreetSamples(8, 2), workers=0)
    assert metrics.ap50 > 0.8


def test_a_step_reports_its_number_losses_and_learning_rate():
    config = RunConfig(
        input_size=(32, 96),
        data=DataConfig(train=StreetSource(images=4), workers=0),
        optimiser=OptimiserConfig(batch_size=2, epochs=1, warmup_steps=4, learning_rate=1.0),
    )
    results = []
    run(config, lambda result: results.append(result) or True)

    assert [result.step for result in results] == [1, 2]
    assert [result.learning_rate for result in results] == [0.25, 0.5]
    parts = results[0].parts
    assert results[0].loss == pytest.approx(
        parts["heatmap"] + 0.1 * parts["size"] + parts["offset"], rel=1e-5
    )


def test_training_stops_when_it_is_told_to():
    config = RunConfig(
        input_size=(32, 96),
        data=DataConfig(train=StreetSource(images=4), workers=0),
        optimiser=OptimiserConfig(batch_size=1, epochs=1),
    )

    _, _, steps = run(config, lambda result: result.step < 3)

    assert steps == 3


def test_a_loss_that_is_not_finite_ends_the_run_before_it_spoils_the_weights():
    config = RunConfig(
        input_size=(32, 96),
        data=DataConfig(train=StreetSource(images=2), workers=0),
        optimiser=OptimiserConfig(batch_size=2, epochs=1),
    )
    model, task, optimiser = build(config)
    with torch.no_grad():
        model.heads["size"][2].bias.fill_(float("inf"))
    before = model.heads["heatmap"][2].bias.clone()

    with pytest.raises(TrainingError, match=r"not finite at step 1 \(heatmap .*, size (inf|nan)"):
        train_from_start(config, model, task, optimiser, lambda _: True)

    assert torch.equal(model.heads["heatmap"][2].bias, before)


def test_the_cosine_rises_falls_and_ends_at_zero():
    config = OptimiserConfig(learning_rate=1.0, warmup_steps=10, epochs=1, schedule="cosine")
    rates = [learning_rate(config, step, 110) for step in range(111)]

    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[60] == pytest.approx(0.5)
    assert rates[110] == pytest.approx(0.0, abs=1e-12)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_steps_drop_by_ten_after_the_named_epochs():
    config = OptimiserConfig(
        learning_rate=1.0, warmup_steps=0, epochs=4, schedule="step", drops=(2, 3)
    )
    rates = [learning_rate(config, epoch * 5 + 4, 5) for epoch in range(4)]

    assert rates == pytest.approx([1.0, 1.0, 0.1, 0.01])
    assert not any(math.isnan(rate) for rate in rates)
