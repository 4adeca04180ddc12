"""`galago devices`: what PortAudio offers, through either library."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict

from galago.streaming.cli.exits import exit_codes
from galago.streaming.cli.tables import print_table
from galago.streaming.sound.sound_card import Backend, list_devices


def devices(backend: Backend, *, json: bool) -> None:
    """List every input and output."""
    with exit_codes():
        found = list_devices(backend)
        if json:
            print(json_format.dumps([asdict(device) for device in found], indent=1))
            return
        if not found:
            print("no sound card and no sound server: nothing to list")
            return
        print_table(
            [">index", "name", "host API", ">inputs", ">outputs", ">rate", "default"],
            [
                (
                    str(device.index),
                    device.name,
                    device.host_api,
                    str(device.max_input_channels),
                    str(device.max_output_channels),
                    f"{device.default_sample_rate_hz} Hz",
                    " ".join(
                        name
                        for name, holds in (
                            ("input", device.is_default_input),
                            ("output", device.is_default_output),
                        )
                        if holds
                    ),
                )
                for device in found
            ],
        )
