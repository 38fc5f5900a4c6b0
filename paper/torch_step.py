"""The training step of the common network in PyTorch, to compare with; a separate program, so that threads do not interfere.

Reads a number from each line of standard input, makes that many steps, and prints the seconds they took. PyTorch is no dependency
of this project: run it with any Python that has it.

    python paper/torch_step.py 14 -4.0 5.113 64       # L, m2, lam, batch
"""

import itertools
import sys
import time

import torch

LAYERS, CHANNELS = 16, (1, 8, 8, 2)


def network() -> torch.nn.Sequential:
    """The convolutional network of one coupling (arXiv:2101.08176)."""
    modules: list[torch.nn.Module] = []
    for inputs, outputs in itertools.pairwise(CHANNELS):
        modules += [torch.nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="circular"), torch.nn.LeakyReLU()]
    return torch.nn.Sequential(*modules[:-1], torch.nn.Tanh())


def main() -> None:
    extent, m2, lam, batch = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    networks = torch.nn.ModuleList(network() for _ in range(LAYERS))
    optimizer = torch.optim.Adam(networks.parameters(), lr=1e-3)
    coordinate = torch.arange(extent)
    colour = ((coordinate[:, None] + coordinate) % 2).float()

    def step() -> None:
        phi = torch.randn(batch, extent, extent)
        loss = -0.5 * (phi**2).sum((1, 2))
        for layer, coupling in enumerate(networks):
            active = colour if layer % 2 else 1 - colour
            scale, shift = coupling((phi * (1 - active)).unsqueeze(1)).unbind(1)
            loss = loss - (active * scale).sum((1, 2))
            phi = torch.where(active > 0, phi * torch.exp(scale) + shift, phi)
        neighbours = phi.roll(1, 1) + phi.roll(1, 2)
        loss = (loss + ((m2 + 4) * phi**2 + lam * phi**4 - 2 * phi * neighbours).sum((1, 2))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
