"""Crops and changes of colour against torchvision's own, one image at a time."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch.nn import functional
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as reference

from neuroscaling.training.feeding import augmentation
from neuroscaling.training.feeding.augmentation import augmented, normalised
from neuroscaling.training.feeding.crops import COLUMNS, central, crop_each, crop_together, cropped, random_boxes
from neuroscaling.training.feeding.protocols import Request
from neuroscaling.training.image_views import ViewSpec

SCALE, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)
FACTORS = torch.tensor([0.0, 0.5, 0.9, 1.2, 1.8])


@pytest.fixture(scope="module")
def squares():
    china, flower = (torch.tensor(array).permute(2, 0, 1) for array in load_sample_images().images)
    places = ((china, 40, 90), (flower, 120, 200), (china, 100, 300), (flower, 0, 10), (china, 60, 0))
    return torch.stack([image[:, top : top + 256, left : left + 256] for image, top, left in places])


@pytest.fixture(scope="module")
def unit(squares):
    return squares[:, :, 100:160, 80:140].float() / 255


@pytest.mark.parametrize(("height", "width"), [(375, 500), (256, 256), (90, 500)])
def test_boxes_are_distributed_as_torchvisions(height, width):
    ours = random_boxes(np.random.default_rng(0).random((20_000, COLUMNS)), height, width, SCALE)
    torch.manual_seed(0)
    image = torch.empty(3, height, width)
    theirs = np.array([RandomResizedCrop.get_params(image, SCALE, ASPECT) for _ in range(4_000)])
    for measure in (lambda b: b[:, 2] * b[:, 3] / (height * width), lambda b: np.log(b[:, 3] / b[:, 2]), *by_column()):
        one, other = measure(ours), measure(theirs)
        assert abs(one.mean() - other.mean()) < 4 * other.std() / np.sqrt(len(other)) + 1e-9
        levels = (0.1, 0.5, 0.9)
        assert np.allclose(np.quantile(one, levels), np.quantile(other, levels), atol=0.1 * other.std() + 1e-9)
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= [height, width]).all()


def by_column():
    return [lambda boxes, i=i: boxes[:, i].astype(float) for i in range(4)]


@pytest.mark.parametrize(("interpolation", "reach"), [("bilinear", 1), ("bicubic", 12), ("lanczos", 16)])
@pytest.mark.parametrize("size", [224, 96])
def test_both_ways_to_the_pixels_of_a_crop_agree_to_rounding(squares, size, interpolation, reach):
    boxes = random_boxes(np.random.default_rng(1).random((5, COLUMNS)), 256, 256, SCALE)
    flips = np.array([True, False, True, False, False])
    one = crop_each(squares.unbind(0), boxes, flips, size, interpolation)
    other = crop_together(squares, boxes, flips, size, interpolation)
    difference = (one.float() - other.float()).abs()
    assert difference.mean() < 0.3
    assert difference.max() <= reach  # filters with negative parts overshoot, and are cut off between their two passes


def test_a_crop_is_what_torchvision_makes_of_its_box(squares):
    boxes = random_boxes(np.random.default_rng(2).random((5, COLUMNS)), 256, 256, SCALE)
    found = crop_each(squares.unbind(0), boxes, np.arange(5) < 2, 64, "bilinear")
    for i, (image, box) in enumerate(zip(squares, boxes.tolist(), strict=True)):
        wanted = reference.resized_crop(image, *box, [64, 64], antialias=True)
        difference = (found[i].int() - (reference.hflip(wanted) if i < 2 else wanted).int()).abs()
        # Equal with AVX2. Without, torch rounds in another order where channels are last: .16 of the values at most.
        assert difference.max() <= 1 and difference.float().mean() < 0.3


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_a_whole_image_is_a_crop_too_however_it_lies_in_memory(squares, interpolation, layout):
    image = squares[:1].clone(memory_format=layout)
    side, still = image.shape[-1], np.array([False])
    (crop,) = crop_each(image, np.array([[0, 0, side, side]]), still, 24, interpolation)
    if interpolation == "lanczos":
        assert crop.shape == (3, 24, 24)
    else:
        torch.testing.assert_close(crop, functional.interpolate(image, (24, 24), mode=interpolation, antialias=True)[0])


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_factors_of_colour_do_what_torchvisions_do(unit, name):
    found = getattr(augmentation, name)(unit.clone(), FACTORS)
    change = getattr(reference, f"adjust_{name}")
    wanted = torch.stack([change(image, factor.item()) for image, factor in zip(unit, FACTORS, strict=True)])
    assert torch.allclose(found, wanted, atol=1e-5)


def test_hue_and_blur_and_solarisation_do_what_torchvisions_do(unit):
    turns = torch.tensor([-0.5, -0.1, 0.0, 0.2, 0.5])
    wanted = torch.stack([reference.adjust_hue(image, turn.item()) for image, turn in zip(unit, turns, strict=True)])
    assert torch.allclose(augmentation.hue(unit, turns), wanted, atol=1e-4)
    sigma = torch.tensor([0.1, 0.5, 1.0, 1.5, 2.0])
    blurs = [reference.gaussian_blur(image, 13, s.item()) for image, s in zip(unit, sigma, strict=True)]
    assert torch.allclose(augmentation.blurred(unit, sigma, 6), torch.stack(blurs), atol=1e-5)
    assert torch.allclose(augmentation.solarized(unit, 128), reference.solarize(unit, 128 / 255), atol=1e-6)


def test_grey_images_stay_grey_whatever_their_hue_is_turned_by():
    image = torch.full((1, 3, 4, 4), 0.4)
    assert torch.allclose(augmentation.hue(image, torch.tensor([0.3])), image)


def test_normalised_values_are_those_of_torchvision(squares):
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    wanted = reference.normalize(squares.float() / 255, mean, std)
    assert torch.allclose(normalised(squares), wanted, atol=1e-5)
    odd = squares[:, :, :31, :17]
    assert torch.allclose(normalised(odd), wanted[:, :, :31, :17], atol=1e-5)


def shares(spec: ViewSpec, measure, n: int = 400) -> float:
    image = torch.full((1, 3, 16, 16), 90, dtype=torch.uint8)
    image[:, 0, 4:12] = 220
    images = image.expand(n, -1, -1, -1)
    request = Request(0, np.arange(n), slice(0, n))
    plain = augmented(images, ViewSpec(16), 0, request, 0)
    return float(measure(augmented(images, spec, 0, request, 0), plain).float().mean())


@pytest.mark.parametrize(
    ("spec", "share"),
    [
        (ViewSpec(16, gray=0.2), 0.2),
        (ViewSpec(16, blur=0.5), 0.5),
        (ViewSpec(16, solarize=0.3), 0.3),
        (ViewSpec(16, erasing=0.25), 0.25),
        (ViewSpec(16, jitter=(0.4, 0.4, 0.2, 0.1), jitter_probability=0.8), 0.8),
    ],
)
def test_changes_come_with_the_probability_that_the_view_says(spec, share):
    def measure(view, plain):
        return (view - plain).abs().flatten(1).amax(1) > 1e-4

    assert abs(shares(spec, measure) - share) < 0.075  # three standard deviations of 400 draws


def test_no_change_leaves_the_image_as_it_is():
    assert (
        shares(ViewSpec(16, jitter=(0.4, 0.0, 0.0, 0.0), jitter_probability=0.0), lambda a, b: (a - b).abs() > 1e-5)
        == 0
    )


def request(n: int) -> Request:
    return Request(0, np.arange(n), slice(0, n))


def test_shift_moves_by_at_most_an_eighth_and_fills_with_black():
    images = torch.zeros(200, 3, 32, 32, dtype=torch.uint8)
    images[:, :, 16, 16] = 255
    moved = cropped(images, ViewSpec(32, "shift"), 0, request(200), 0)
    _, rows, columns = torch.nonzero(moved[:, 0] == 255, as_tuple=True)
    assert len(rows) == 200
    assert {*rows.tolist()} == {*columns.tolist()} == set(range(12, 21))
    assert moved.unique().tolist() == [0, 255]


def test_random_crops_mirror_half_and_stay_within_the_values_of_the_image():
    ramp = torch.linspace(0, 200, 32).to(torch.uint8).expand(300, 3, 32, 32)
    views = cropped(ramp, ViewSpec(28, flip=0.5), 0, request(300), 0)
    assert views.shape == (300, 3, 28, 28)
    mirrored = views[:, 0, 14, 0] > views[:, 0, 14, -1]
    assert 0.4 < mirrored.float().mean() < 0.6
    assert views.max() <= 200


def test_without_random_crops_the_centre_is_taken():
    images = torch.arange(36, dtype=torch.uint8).view(1, 1, 6, 6).expand(2, 3, 6, 6)
    assert central(images, 4)[0, 0].tolist() == images[0, 0, 1:5, 1:5].tolist()
    assert torch.equal(cropped(images, ViewSpec(4, "none"), 0, request(2), 0), central(images, 4))
