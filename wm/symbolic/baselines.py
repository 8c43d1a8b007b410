"""Two ways to hold symbols without attention: a GRU, and an MLP that sees the window all at once."""

from __future__ import annotations

__all__ = ["GRU", "WindowMLP"]

import math

import torch
from torch import Tensor, nn

from .hooks import Hooked, HookPoint, as_tokens


class GRU(Hooked):
    """A gated recurrent unit that reads one symbol after the other; logits from its state.

    With one-hot symbols x (so that W_x x is a row of W_x)::

        r = sigmoid(W_xr x + W_hr h + b_r)        z = sigmoid(W_xz x + W_hz h + b_z)
        n = tanh(W_xn x + b_n + r * (W_hn h + c_n))
        h <- (1 - z) * n + z * h                  logits = W_U h + b_U

    Parameters: W_x (symbol, 3 unit), W_h (unit, 3 unit), b (3 unit), c_n (unit), W_U (unit, symbol), b_U.
    Source: Cho et al. 2014, arXiv:1406.1078, in the form of torch.nn.GRU.
    """

    def __init__(self, symbols: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.W_x = nn.Parameter(torch.empty(symbols, 3 * units))
        self.W_h = nn.Parameter(torch.empty(units, 3 * units))
        self.b = nn.Parameter(torch.empty(3 * units))
        self.c_n = nn.Parameter(torch.empty(units))
        self.W_U, self.b_U = nn.Parameter(torch.empty(units, symbols)), nn.Parameter(torch.empty(symbols))
        self.hook_state = HookPoint()
        self.name_hooks()

    def forward(self, tokens: Tensor) -> Tensor:
        inputs = nn.functional.embedding(as_tokens(tokens), self.W_x) + self.b
        h, states = inputs.new_zeros(len(tokens), self.units), []
        for seen in inputs.unbind(1):
            gates, new = (seen + h @ self.W_h)[:, : 2 * self.units], seen[:, 2 * self.units :]
            r, z = gates.sigmoid().chunk(2, dim=-1)
            n = (new + r * (h @ self.W_h[:, 2 * self.units :] + self.c_n)).tanh()
            h = (1 - z) * n + z * h
            states.append(h)
        return self.hook_state(torch.stack(states, dim=1)) @ self.W_U + self.b_U

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """Draw all parameters uniformly from +- 1 / sqrt(units)."""
        for value in self.parameters():
            value.uniform_(-1 / math.sqrt(self.units), 1 / math.sqrt(self.units), generator=generator)


class WindowMLP(Hooked):
    """Two hidden layers on the last `context` symbols side by side; places before the first are zero.

    Parameters: W_0 (context, symbol, unit), whose last place is the newest symbol; b_0, W_1 (unit, unit),
    b_1, W_U (unit, symbol), b_U.
    """

    def __init__(self, symbols: int, units: int, context: int) -> None:
        super().__init__()
        self.context, self.symbols = context, symbols
        self.W_0, self.b_0 = (
            nn.Parameter(torch.empty(context, symbols, units)),
            nn.Parameter(torch.empty(units)),
        )
        self.W_1, self.b_1 = nn.Parameter(torch.empty(units, units)), nn.Parameter(torch.empty(units))
        self.W_U, self.b_U = nn.Parameter(torch.empty(units, symbols)), nn.Parameter(torch.empty(symbols))
        self.hook_0, self.hook_1 = HookPoint(), HookPoint()
        self.name_hooks()

    def forward(self, tokens: Tensor) -> Tensor:
        seen = nn.functional.one_hot(as_tokens(tokens), self.symbols).to(self.W_0.dtype)
        padded = nn.functional.pad(seen, (0, 0, self.context - 1, 0))
        windows = padded.unfold(1, self.context, 1)  # (trial, time, symbol, place)
        x = self.hook_0((torch.einsum("btsc,csu->btu", windows, self.W_0) + self.b_0).relu())
        x = self.hook_1((x @ self.W_1 + self.b_1).relu())
        return x @ self.W_U + self.b_U

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """Draw weights N(0, 2 / fan-in) (W_0: as many as it has places), biases 0."""
        for name, value in self.named_parameters():
            fan_in = self.context if name == "W_0" else value.shape[0]
            value.normal_(0, math.sqrt(2 / fan_in), generator=generator) if name[0] == "W" else value.zero_()
