"""All commands in one application.

The bodies import what they need when they run: `galago --help` must not wait for a sound library.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galago.streaming.cli.options import AsJson, BundleArgument, BundleName, ChunkMs, Threads
from galago.streaming.images.camera import Binding
from galago.streaming.images.image_file import Background
from galago.streaming.sound.raw_pcm import SampleType
from galago.streaming.sound.sound_card import Backend

app = typer.Typer(
    name="galago",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def run() -> None:
    """Run the command line of this process."""
    app()


def _print_version(asked: bool) -> None:
    if asked:
        from galago import __version__

        typer.echo(f"galago {__version__}")
        raise typer.Exit


@app.callback()
def galago(
    version: Annotated[
        bool,
        typer.Option("--version", help="Say which galago this is.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Eyes, ears and a voice for devices."""


@app.command()
def listen(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE...|mic|-]", help="Audio files, the microphone (default), or raw PCM."),
    ] = None,
    bundle: BundleName = "default",
    grammar: Annotated[
        Path | None, typer.Option(help="Listen for the sentences of this grammar only (hassil YAML).")
    ] = None,
    hotword: Annotated[list[str] | None, typer.Option(help="Boost a word or phrase; repeatable.")] = None,
    phrase: Annotated[list[str] | None, typer.Option(help="Listen for a wake phrase; repeatable.")] = None,
    chunk_ms: ChunkMs = None,
    json: AsJson = False,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Replay files as fast as they were spoken.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="Microphone: index or part of the name; see `galago devices`.")
    ] = None,
    backend: Annotated[Backend, typer.Option(help="Library that reads the microphone.")] = "sounddevice",
    threads: Threads = None,
    rate: Annotated[int | None, typer.Option(help="Of raw PCM: sample rate in Hz; default 16000.")] = None,
    channels: Annotated[int | None, typer.Option(help="Of raw PCM: channels; default 1.")] = None,
    dtype: Annotated[SampleType | None, typer.Option(help="Of raw PCM: sample type; default s16.")] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="Characters as they come, no words.")] = False,
    beam: Annotated[bool, typer.Option("--beam", help="Prefix beam search over characters.")] = False,
    one_pass: Annotated[
        bool, typer.Option("--one-pass", help="No second look before a final: less work, more errors.")
    ] = False,
) -> None:
    """Transcribe files, the microphone or raw PCM from a pipe.

    With --rate, --channels or --dtype, files are read as raw PCM too.
    """
    from galago.streaming.cli import listen as command

    command.listen(
        command.ListenOptions(
            sources=tuple(sources or ["mic"]),
            bundle=bundle,
            grammar=grammar,
            hotwords=tuple(hotword or ()),
            phrases=tuple(phrase or ()),
            chunk_ms=chunk_ms,
            json=json,
            realtime=realtime,
            device=device,
            backend=backend,
            num_threads=threads,
            sample_rate_hz=rate,
            num_channels=channels,
            sample_type=dtype,
            greedy=greedy,
            beam=beam,
            one_pass=one_pass,
        )
    )


@app.command()
def watch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="[SOURCE]",
            help="camera (default), v4l2:/dev/video0, rtsp://..., 'pipeline: ...', a video, image files.",
        ),
    ] = "camera",
    bundle: BundleName = "default",
    rate: Annotated[float, typer.Option("--rate", min=0.01, max=240.0, help="Images a second.")] = 5.0,
    json: AsJson = False,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Replay files as fast as a camera would.")
    ] = False,
    binding: Annotated[Binding, typer.Option(help="How GStreamer is reached.")] = "auto",
    threads: Threads = None,
) -> None:
    """Say what a camera, a video or a folder of images shows, whenever that changes.

    With --json, every image that was looked at is told.
    """
    from galago.streaming.cli import watch as command

    command.watch(
        command.WatchOptions(
            source=source,
            bundle=bundle,
            rate_hz=rate,
            json=json,
            realtime=realtime,
            binding=binding,
            num_threads=threads,
        )
    )


@app.command()
def see(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.")],
    bundle: BundleName = "default",
    json: AsJson = False,
    background: Annotated[Background, typer.Option(help="Behind what is transparent.")] = "white",
    threads: Threads = None,
) -> None:
    """Say what images show, each by itself.

    Exits with 2 where an image could not be read; the others are answered.
    """
    from galago.streaming.cli import see as command

    command.see(images, bundle=bundle, json=json, background=background, num_threads=threads)


@app.command()
def say(
    text: Annotated[str, typer.Argument(help="What to say; - reads it from standard input.")],
    output: Annotated[
        str, typer.Option("-o", "--output", help="speaker, a WAV file, or - for raw 16-bit PCM.")
    ] = "speaker",
    bundle: BundleName = "default",
    device: Annotated[
        str | None, typer.Option(help="Speaker: index or part of the name; see `galago devices`.")
    ] = None,
    backend: Annotated[Backend, typer.Option(help="Library that plays.")] = "sounddevice",
    threads: Threads = None,
) -> None:
    """Say a text aloud, or into a file."""
    from galago.streaming.cli import say as command

    command.say(
        command.SayOptions(
            text=text,
            output=output,
            bundle=bundle,
            device=device,
            backend=backend,
            num_threads=threads,
        )
    )


@app.command("run")
def run_device(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="What to run, in TOML.")],
) -> None:
    """Run a device: it listens, looks and answers as a file says.

    It ends with its source, with Ctrl-C, or with SIGTERM.
    """
    from galago.streaming.cli import run as command

    command.run(config)


@app.command()
def devices(
    backend: Annotated[Backend, typer.Option(help="Library to ask.")] = "sounddevice", json: AsJson = False
) -> None:
    """List microphones and speakers."""
    from galago.streaming.cli import devices as command

    command.devices(backend, json=json)


@app.command()
def info(bundle: BundleArgument = "default", json: AsJson = False) -> None:
    """Say what a bundle holds and which of its targets runs here."""
    from galago.streaming.cli import info as command

    command.info(bundle, json=json)


@app.command()
def verify(bundle: BundleArgument = "default", threads: Threads = None, json: AsJson = False) -> None:
    """Check every file of a bundle and replay its golden vectors on this machine."""
    from galago.streaming.cli import verify as command

    command.verify(bundle, num_threads=threads, json=json)


bench_app = typer.Typer(help="Measure on this machine.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")


@bench_app.command("ear")
def bench_ear(
    bundle: BundleName = "default",
    seconds: Annotated[float, typer.Option(min=1.0, help="Audio to work through.")] = 60.0,
    chunk_ms: ChunkMs = None,
    threads: Threads = 1,
    json: AsJson = False,
) -> None:
    """Measure the ear: busy time per audio second, step times, own overhead, memory."""
    from galago.streaming.cli import bench as command

    command.bench_ear(bundle, seconds=seconds, chunk_ms=chunk_ms, num_threads=threads, json=json)


@bench_app.callback()
def bench() -> None:
    """Measure on this machine."""


@app.command()
def doctor(json: AsJson = False) -> None:
    """Say what is installed, what is missing, and how to get it."""
    from galago.streaming.cli import doctor as command

    command.doctor(json=json)


@app.command()
def grammar(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Sentence templates in hassil's YAML.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where the bytes go.")] = None,
    phrases: Annotated[
        list[str] | None, typer.Option("--phrases", help="Compile wake phrases instead; repeatable.")
    ] = None,
    sentences: Annotated[int, typer.Option(min=0, help="Print so many sentences that it accepts.")] = 0,
    bundle: Annotated[
        str | None, typer.Option("--bundle", "-b", help="For whose phones and lexicon; default: as shipped.")
    ] = None,
) -> None:
    """Compile a grammar, or wake phrases, to the bytes that the C API takes."""
    from galago.streaming.cli import grammar as command

    command.grammar(file, output, tuple(phrases or ()), num_sentences=sentences, bundle=bundle)


@app.command()
def demo(
    bundle: BundleName = "default",
    mic: Annotated[
        bool, typer.Option("--mic", help="Listen to the microphone instead of the clips.")
    ] = False,
    clips: Annotated[
        Path | None, typer.Option(help="A folder with other clips, and a demo.json if it likes.")
    ] = None,
    chunk_ms: ChunkMs = None,
    threads: Threads = 1,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the turn's picture and reply.")
    ] = Path("galago-demo"),
    speaker: Annotated[bool, typer.Option("--speaker", help="Say the reply aloud too.")] = False,
    backend: Annotated[
        Backend, typer.Option(help="Library that reaches microphone and speaker.")
    ] = "sounddevice",
    device: Annotated[str | None, typer.Option(help="Microphone: index or part of the name.")] = None,
) -> None:
    """Hear the clips of a folder, then a turn: "what do you see?", a look, an answer aloud."""
    from galago.streaming.cli import demo as command

    command.demo(
        bundle,
        clips=clips,
        mic=mic,
        chunk_ms=chunk_ms,
        num_threads=threads,
        backend=backend,
        device=device,
        output=output,
        speaker=speaker,
    )


# Help is rich's markup, in which an unescaped "[train]" would be a colour and leave no trace.
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_PASS_ON, add_help_option=False)
def train(context: typer.Context) -> None:
    r"""Train a network from a recipe (on a workstation; needs galago\[train])."""
    from galago.streaming.cli import workstation

    workstation.hand_over("train", context.args)


@app.command("import", context_settings=_PASS_ON, add_help_option=False)
def import_(context: typer.Context) -> None:
    r"""Turn a published checkpoint into a model file (needs galago\[train])."""
    from galago.streaming.cli import workstation

    workstation.hand_over("import", context.args)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def label(context: typer.Context) -> None:
    r"""Label sound or photos with what trained networks are sure of (needs galago\[train])."""
    from galago.streaming.cli import workstation

    workstation.hand_over("label", context.args)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def pack(context: typer.Context) -> None:
    r"""Export, quantize and pack a checkpoint into a bundle (needs galago\[quantize])."""
    from galago.streaming.cli import workstation

    workstation.hand_over("pack", context.args)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def make(context: typer.Context) -> None:
    r"""Make a bundle from data by one recipe: train, quantize, measure, pack (on a workstation)."""
    from galago.streaming.cli import workstation

    workstation.hand_over("make", context.args)
