"""The neural differential equation against its definition, in slow NumPy."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.integrate import solve_ivp

from lattice_flows import fourier
from lattice_flows.bijectors import EquivariantODE, classes
from lattice_flows.lattice import Lattice, OddSites

PAIRS = {"pair_frequencies": 2, "pair_features": 1, "pair_radius": 1.5}
TERMS = PAIRS | {"zero_mode": True, "mean_frequencies": 1, "smooth_lengths": (0.8, 1.5)}


def ode(shape, steps=2, integrator="rk4", strength=0.06, **settings):
    made = EquivariantODE(Lattice(shape), steps=steps, integrator=integrator, **({"features": 2, "knots": 3} | TERMS | settings))
    for name, variable in named(made).items():
        if "log_" not in name:
            variable.assign(np.random.default_rng(2).normal(scale=strength, size=variable.shape))
    return made


def named(made):
    return {variable.name.split("/")[1].split(":")[0]: variable for variable in made.trainable_variables}


def arrays(made):
    return {variable.name.split(":")[0]: variable.numpy() for variable in made.trainable_variables}


def fields(shape, n=2):
    """A tensor, whose image and log-determinant then come from one integration."""
    return tf.constant(np.random.default_rng(1).normal(size=(n, *shape)))


def length_squared(shape, x, y):
    return sum(min((a - b) % n, (b - a) % n) ** 2 for a, b, n in zip(x, y, shape, strict=True))


@pytest.mark.parametrize("shape", [(5,), pytest.param((4, 4), marks=pytest.mark.slow), (2, 4, 4)])
def test_the_map_is_that_of_the_differential_equation(shape):
    """On these lattices a class is told by the length of its displacements, but for the extent of 2 by the axis too."""
    made = ode(shape, steps=12, integrator="tsit5")
    weights = {key: variable.numpy().astype(float) for key, variable in named(made).items()}
    displacements, members = Lattice(shape).displacement_classes()
    lengths, members = np.sum(displacements**2, axis=1), members.reshape(shape)
    sites = list(itertools.product(*map(range, shape)))
    of_pair = np.array([[members[tuple((np.array(x) - y) % shape)] for y in sites] for x in sites])
    assert all(lengths[of_pair[i, j]] == length_squared(shape, x, y) for i, x in enumerate(sites) for j, y in enumerate(sites))
    frequencies, nu = np.array([0.7, 1.4]), np.array([0.7, 1.4])
    # Pair terms have no kernel at the site itself, nor beyond their radius.
    inside = np.count_nonzero(lengths <= PAIRS["pair_radius"] ** 2) - 1
    padding = [(0, 0)] * 3 + [(1, len(lengths) - 1 - inside)]

    averages = [
        fourier.convolution_matrix(np.fft.ifftn(np.exp(-(length**2) * Lattice(shape).momentum_squared() / 2)).real, Lattice(shape))
        for length in TERMS["smooth_lengths"]
    ]

    def velocity(t, state):
        hats, phi = np.maximum(0, 1 - np.abs(2 * t - np.arange(3))), state[:-1]
        kernel = np.einsum("k,kfc->fc", hats, weights["weights"])[:, of_pair]
        pairs = np.einsum("k,kgfc->gfc", hats, np.pad(weights["pair_weights"], padding))[:, :, of_pair]
        features = np.concatenate([np.sin(frequencies[:, None] * phi), phi[None]])
        slopes = np.concatenate([frequencies[:, None] * np.cos(frequencies[:, None] * phi), np.ones_like(phi)[None]])
        odd = np.einsum("gfxy,fy->gx", pairs[:, :2], [np.sin(frequencies[0] * phi), phi])
        even = np.einsum("gxy,y->gx", pairs[:, 2], np.cos(frequencies[0] * phi))
        sine, cosine = np.sin(nu[:, None] * phi), np.cos(nu[:, None] * phi)
        zero_mode, mean = hats @ weights["zero_mode"], np.mean(phi)
        change = np.einsum("fxy,fy->x", kernel, features) + np.sum(cosine * odd + sine * even, axis=0)
        change += zero_mode @ np.sin(frequencies * mean)
        divergence = np.einsum("fxx,fx->", kernel, slopes) + nu @ np.sum(cosine * even - sine * odd, axis=1)
        divergence += zero_mode @ (frequencies * np.cos(frequencies * mean))
        scale, kernel = len(phi) ** (1 / 2 - 1 / len(shape)), np.einsum("k,kc->c", hats, weights["mean_weights"][:, 0])[of_pair]
        change += (1 - np.cos(2 * scale * mean)) * (kernel @ features[0])
        divergence += (1 - np.cos(2 * scale * mean)) * (np.diag(kernel) @ slopes[0])
        divergence += np.sin(2 * scale * mean) * 2 * scale / len(phi) * np.sum(kernel @ features[0])
        for average, strengths in zip(averages, np.einsum("k,kjh->jh", hats, weights["smooth_weights"]), strict=True):
            smooth, mu = average @ phi, np.array([[2.0], [4.0], [6.0]])
            change += average @ (strengths @ np.sin(mu * smooth))
            divergence += np.sum(average**2) / len(phi) * np.sum(strengths @ (mu * np.cos(mu * smooth)))
        return np.append(change, divergence)

    start = fields(shape, n=1)
    first = solve_ivp(velocity, (0, 0.5), np.append(start, 0), rtol=1e-10, atol=1e-12).y[:, -1]
    end = solve_ivp(velocity, (0.5, 1), first, rtol=1e-10, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(np.reshape(made.forward(start), -1), end[:-1], atol=2e-6)
    np.testing.assert_allclose(made.forward_log_det_jacobian(start, len(shape)), end[-1], atol=2e-6)


# That of tsit5 is nearly exact in the test above.
@pytest.mark.parametrize(("integrator", "order"), [("rk4", 4), pytest.param("tsit5", 5, marks=pytest.mark.slow)])
def test_the_error_falls_with_the_order_of_the_method(integrator, order):
    made = ode((4, 6), integrator=integrator, steps=4)
    x, ends = fields((4, 6)), []
    for _ in range(3):
        ends.append((made.forward(x), made.forward_log_det_jacobian(x, 2)))
        made = made.with_integration_steps(2 * made.integration_steps)
    for coarse, middle, fine in zip(*ends, strict=True):
        ratio = np.max(np.abs(coarse - middle)) / np.max(np.abs(middle - fine))
        assert ratio > 0.7 * 2**order


@pytest.mark.parametrize("gradient", ["forward", pytest.param("inverse", marks=pytest.mark.slow)])
def test_the_gradient_is_that_of_the_discrete_map(gradient):
    made = ode((4, 4), steps=2)
    x = fields((4, 4))
    probe = np.random.default_rng(5).normal(size=x.shape)

    def value(field):
        mapped, log_det = getattr(made, gradient)(field), getattr(made, f"{gradient}_log_det_jacobian")(field, 2)
        return tf.reduce_sum(probe * mapped) + tf.reduce_sum(log_det)

    field = tf.identity(x)
    with tf.GradientTape() as tape:
        tape.watch(field)
        total = value(tf.identity(field))
    of_field, *of_variables = tape.gradient(total, [field, *made.trainable_variables])
    h = 1e-5
    direction = np.random.default_rng(6).normal(size=x.shape)
    numerical = (value(x + h * direction) - value(x - h * direction)) / (2 * h)
    np.testing.assert_allclose(np.sum(of_field * direction), numerical, rtol=1e-7)
    for variable, found in zip(made.trainable_variables, of_variables, strict=True):
        before, step, direction = variable.numpy(), 2.0**-8, np.sign(found)
        values = []
        for sign in (1, -1):
            variable.assign(before + sign * step * direction)
            values.append(value(tf.identity(x)))  # not in the cache, which knows other weights
        variable.assign(before)
        np.testing.assert_allclose(np.sum(np.abs(found)), (values[0] - values[1]) / (2 * step), rtol=2e-3, err_msg=variable.name)


def test_sites_beyond_the_kernel_radius_do_not_interact():
    made = ode((7, 7), steps=1, kernel_radius=1.0, pair_radius=1, zero_mode=False, mean_frequencies=0, smooth_lengths=())
    assert [named(made)[key].shape[-1] for key in ("weights", "pair_weights")] == [2, 1]
    x = np.zeros((1, 7, 7))
    x[0, 3, 3] = 1.0
    moved = np.abs(made.forward(x)[0]) > 1e-12
    # In one step of four stages, news travels four links.
    distance = np.abs(np.indices((7, 7)) - 3).sum(axis=0)
    np.testing.assert_array_equal(moved, distance <= 4)


def test_the_start_is_the_identity():
    made = EquivariantODE(Lattice((4, 4)), features=2, knots=2, steps=3)
    x = fields((4, 4))
    np.testing.assert_array_equal(made.forward(x), x)
    np.testing.assert_array_equal(made.forward_log_det_jacobian(x, 2), 0)


def test_a_refined_equation_shares_its_variables():
    made = ode((4, 4))
    assert [id(v) for v in made.with_integration_steps(2 * made.integration_steps).trainable_variables] == [
        id(v) for v in made.trainable_variables
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"integrator": "euler"}, r"integrator must be one of rk4, tsit5, got 'euler'"),
        ({"knots": 1}, r"knots must be 2 or more.*got 1"),
        ({"pair_frequencies": 1}, r"pair_features must be at most the number of features, 2, got 3"),
        ({"pair_frequencies": 1, "pair_features": 1, "pair_radius": 0.5}, r"pair_radius must be 1 or more.*got 0.5"),
        ({"smooth_lengths": (1.5, 0)}, r"smooth_lengths must be positive, got \(1.5, 0\)"),
    ],
)
def test_bad_input(wrong, message):
    with pytest.raises(ValueError, match=message):
        EquivariantODE(Lattice((4, 4)), **({"features": 2, "knots": 2, "steps": 3} | wrong))


def test_kernels_are_transferred_to_another_lattice():
    """A field that repeats itself does not feel the difference, if kernels reach no further than half the smaller extent."""
    # Terms with the mean field have divergences that do not grow with the volume, and a smooth average sees its own images.
    without = {"zero_mode": False, "mean_frequencies": 0, "smooth_lengths": ()}
    small, large = (ode(shape, pair_radius=None, **without) for shape in ((4, 4), (8, 8)))
    found = large.transferred(arrays(small), Lattice((4, 4)))
    for key in ("weights", "pair_weights"):
        named(large)[key].assign(found[f"equivariant_ode/{key}"])
    x = fields((4, 4))
    repeated = np.tile(x, (1, 2, 2))
    np.testing.assert_allclose(large.forward(repeated), np.tile(small.forward(x), (1, 2, 2)), atol=1e-6)
    np.testing.assert_allclose(large.forward_log_det_jacobian(repeated, 2), 4 * small.forward_log_det_jacobian(x, 2), atol=1e-5)
    back = small.transferred(found, Lattice((8, 8)))
    inner = np.all(Lattice((4, 4)).displacement_classes()[0] < 2, axis=1)
    for key, near in (("weights", inner), ("pair_weights", inner[1:])):
        name = f"equivariant_ode/{key}"
        np.testing.assert_allclose(back[name][..., near], arrays(small)[name][..., near])
    assert small.transferred({}, Lattice((8, 8))) == {}


def test_kernels_are_transferred_to_another_kernel_radius():
    far, near = ode((6, 6), pair_radius=3), ode((6, 6), kernel_radius=2)
    of_near = near.transferred(arrays(far), Lattice((6, 6)))
    of_far = far.transferred(of_near, Lattice((6, 6)))
    for key in ("weights", "pair_weights", "mean_weights"):
        name = f"equivariant_ode/{key}"
        number = of_near[name].shape[-1]
        np.testing.assert_array_equal(of_near[name], arrays(far)[name][..., :number])
        np.testing.assert_array_equal(of_far[name][..., :number], of_near[name])
        assert number < of_far[name].shape[-1] and not np.any(of_far[name][..., number:])


def test_terms_begin_anew_on_weights_without_them():
    without = ode((4, 4), pair_frequencies=0, zero_mode=False, mean_frequencies=0, smooth_lengths=())
    whole = EquivariantODE(Lattice((4, 4)), features=2, knots=3, steps=2, integrator="rk4", **TERMS)
    found = arrays(without) | whole.transferred(arrays(without), Lattice((4, 4)))
    assert found.keys() == arrays(whole).keys() and not np.any(found["equivariant_ode/pair_weights"])
    for name, variable in named(whole).items():
        variable.assign(found[f"equivariant_ode/{name}"])
    np.testing.assert_allclose(whole.forward(fields((4, 4))), without.forward(fields((4, 4))), atol=1e-12)


def test_more_frequencies_lengths_and_knots_continue_the_same_map():
    few, settings = (
        ode((4, 4)),
        {"features": 4, "knots": 5, "pair_frequencies": 3, "pair_features": 3, "smooth_lengths": (1.0, 2.0, 3.0)},
    )
    many = EquivariantODE(Lattice((4, 4)), steps=2, integrator="rk4", **(TERMS | settings | {"mean_frequencies": 2}))
    for name, variable in named(few).items():
        if "log_" in name:
            variable.assign_add(np.random.default_rng(3).normal(scale=0.1, size=variable.shape))
    found = many.transferred(arrays(few), Lattice((4, 4)))
    assert {name: array.shape for name, array in found.items()} == {name: array.shape for name, array in arrays(many).items()}
    for name, variable in named(many).items():
        variable.assign(found[f"equivariant_ode/{name}"])
    x = fields((4, 4))
    np.testing.assert_allclose(many.forward(x), few.forward(x), atol=1e-7)
    np.testing.assert_allclose(many.forward_log_det_jacobian(x, 2), few.forward_log_det_jacobian(x, 2), atol=1e-6)
    with pytest.raises(
        ValueError, match=r"it has more frequencies or lengths: weights of the shape \[5, 4, \d+\] do not fit into \[5, 2, \d+\]"
    ):
        ode((4, 4), knots=5).transferred(arrays(many), Lattice((4, 4)))
    with pytest.raises(ValueError, match=r"its 3 knots are not all among the 4 here, as they are among 3, 5, 7, \.\.\."):
        ode((4, 4), knots=4).transferred(arrays(few), Lattice((4, 4)))


def test_smooth_terms_of_odd_sites_have_the_log_determinant_of_their_map():
    sites = OddSites(Lattice((4, 4)))
    made = EquivariantODE(sites, features=2, knots=2, steps=12, smooth_lengths=(0.8, 1.5))
    for name in ("smooth_weights", "weights"):
        named(made)[name].assign(np.random.default_rng(4).normal(scale=0.3, size=named(made)[name].shape))
    x, h = np.random.default_rng(1).normal(size=sites.shape), 1e-5
    units = h * np.eye(sites.volume).reshape(-1, *sites.shape)
    # In one integration.
    points = tf.constant(np.concatenate([x[np.newaxis], x + units, x - units]))
    _, up, down = tf.split(made.forward(points), [1, len(units), len(units)])
    jacobian = np.reshape(up - down, [sites.volume, -1]) / (2 * h)
    log_det = made.forward_log_det_jacobian(points, 2)[0]
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-5)
    assert abs(log_det) > 0.1


def test_both_transforms_make_the_same_map(monkeypatch):
    results = []
    for largest in (0, 1000):
        monkeypatch.setattr(fourier, "DENSE", largest)
        monkeypatch.setattr(classes, "_LARGEST_MATRIX", largest)
        made = ode((4, 6), kernel_radius=2.5)
        x = fields((4, 6))
        with tf.GradientTape() as tape:
            y = made.forward(x)
            total = tf.reduce_sum(y**2) + tf.reduce_sum(made.forward_log_det_jacobian(x, 2))
        results.append((y, made.forward_log_det_jacobian(x, 2), *tape.gradient(total, made.trainable_variables)))
    for index, (one, other) in enumerate(zip(*results, strict=True)):
        np.testing.assert_allclose(one, other, rtol=1e-12 if index < 2 else 1e-4)


def test_the_trajectory_leads_from_noise_to_the_field():
    made, x = ode((4, 4), steps=3), fields((4, 4))
    on_the_way = made.trajectory(x)
    assert len(on_the_way) == 4
    np.testing.assert_array_equal(on_the_way[0], x)
    np.testing.assert_allclose(on_the_way[-1], made.forward(x), rtol=1e-12)
    distance = [float(tf.norm(phi - x)) for phi in on_the_way]
    assert sorted(distance) == distance


def test_log_determinants_do_not_lose_digits_to_the_volume():
    """They are about -3600 here; summed in float32 alone, they would be off by 3e-4."""
    made = ode((16, 16, 16), strength=0.1, kernel_radius=1.0, mean_frequencies=0, smooth_lengths=())
    weights = named(made)["weights"]
    weights[:, -1, 0].assign(weights[:, -1, 0] - 1)  # l(t, 0)
    phi = fields((16, 16, 16), n=8)
    single, double = (made.forward_log_det_jacobian(tf.cast(phi, dtype), 3).numpy() for dtype in (tf.float32, tf.float64))
    assert np.min(np.abs(double)) > 1e3
    np.testing.assert_allclose(single, double, rtol=0, atol=1.2e-4)


@pytest.mark.parametrize(("knots", "steps", "following"), [(5, 12, 16), (4, 12, 15), (4, 13, 15), (2, 5, 6)])
def test_the_next_number_of_steps_has_one_that_ends_at_every_knot(knots, steps, following):
    ode = EquivariantODE(Lattice((4,)), features=1, knots=knots, steps=steps)
    assert ode.next_integration_steps == following
