"""The hidden units of HuBERT: a cluster for every token of every recording, made once for a run.

first run     MFCC, averaged over 50 ms, of which each clip's mean is taken out
later runs    what stands behind a block of an earlier run's network, which hears the whole clip
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from galago.models.front_end import FrontEnd
from galago.models.mfcc import Mfcc
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.training.ear.corpus import Clip, Corpus
from galago.models.training.pretrain.checkpoint import is_pretrained, network_from
from galago.models.training.pretrain.kmeans import KMeans, fit_kmeans
from galago.models.training.pretrain.recipe import ClusterRecipe
from galago.models.training.pretrain.sound import Labels, Recordings, clip_samples
from galago.models.training.toml_tables import RecipeError
from galago.models.wav2vec2 import Wav2Vec2

__all__ = ["Features", "block_features", "cluster_labels", "mfcc_features"]

#: Samples (N,) of a clip -> features (T, C) of its tokens, T = ceil(N / samples a token).
Features = Callable[[Tensor], Tensor]
_SHORTEST_SAMPLES = 400  # one window of MFCC
_AVERAGED_FRAMES = 5


def mfcc_features(front_end: FrontEnd) -> Features:
    """13 values a token: of each the frames around the middle of what the network's row is about.

    The paper's clusters, of single frames with their differences, change with most tokens of 20 ms. Those of
    averages say more about the phone, stay about as long as one does, and are sooner learned. What a
    microphone, a room and a level add to a whole clip is no cluster: its mean is taken out.
    """
    mfcc = Mfcc()
    shape = mfcc.config.log_mel
    step, reach = front_end.hop_samples, _AVERAGED_FRAMES // 2

    def features(samples: Tensor) -> Tensor:
        num_tokens = -(-len(samples) // step)
        padded = F.pad(samples, (0, max(0, _SHORTEST_SAMPLES - len(samples))))
        frames = F.pad(mfcc(padded[None]).transpose(1, 2), (reach, reach), mode="replicate")
        averages = F.avg_pool1d(frames, _AVERAGED_FRAMES, 1)[0].T  # (T, 13)
        middles = torch.arange(num_tokens) * step + front_end.token_centre_samples
        places = torch.round((middles - shape.window_samples / 2) / shape.hop_samples).long()
        rows = averages[places.clamp(0, len(averages) - 1)]
        return rows - rows.mean(dim=0)

    return features


def block_features(network: Wav2Vec2, layer: int) -> Features:
    """Rows behind block ``layer`` (from 1) of a network that hears the whole clip."""
    step = network.samples_per_token

    def features(samples: Tensor) -> Tensor:
        frames = F.pad(samples, (0, -len(samples) % step)).reshape(1, -1, step)
        num_frames = torch.tensor([frames.shape[1]])
        return network.encode_frames(frames, num_frames, None, None).blocks[layer - 1][0].float()

    return features


def _features_of(recipe: ClusterRecipe, front_end: FrontEnd, where: str) -> Features:
    """What a recipe's clusters are made of.

    Raises:
        CheckpointError: the earlier run's file is damaged or holds no network on samples.
        RecipeError: it has fewer blocks, or other tokens.
    """
    if recipe.features_of is None:
        return mfcc_features(front_end)
    from galago.models.training.ear.checkpoint import load_model
    from galago.models.wav2vec2_ear import Wav2Vec2Ear

    path = Path(recipe.features_of)
    stored = load(path)
    if is_pretrained(stored):
        network = network_from(stored, path)
    else:
        ear = load_model(path)
        if not isinstance(ear, Wav2Vec2Ear):
            raise CheckpointError(f"{path}: holds an ear that hears no samples; a wav2vec2 is needed here")
        network = ear.network
    assert recipe.layer is not None  # ClusterRecipe sees to it
    if recipe.layer > len(network.blocks):
        raise RecipeError(f"{where}.layer: {path} has {len(network.blocks)} blocks, got {recipe.layer}")
    if network.samples_per_token != front_end.hop_samples:
        raise RecipeError(
            f"{where}.features_of: {path} has tokens of {network.samples_per_token} samples, this recipe's "
            f"network of {front_end.hop_samples}"
        )
    return block_features(network, recipe.layer)


def _fit(
    recipe: ClusterRecipe, clips: Sequence[tuple[Corpus, Clip]], features: Features, seed: int, name: str
) -> KMeans:
    """k-means over the tokens of clips drawn at random until there are enough.

    Raises:
        RecipeError: there are fewer different tokens than clusters.
    """
    rows: list[Tensor] = []
    count = 0
    for i in np.random.default_rng((seed, 4)).permutation(len(clips)):
        rows.append(features(torch.from_numpy(clip_samples(*clips[i]))))
        count += len(rows[-1])
        if count >= recipe.num_rows:
            break
    try:
        return fit_kmeans(torch.cat(rows), recipe.num_clusters, seed=seed)
    except ValueError as error:
        raise RecipeError(f"{name}.clusters: {error}") from error


def _identity(
    recipe: ClusterRecipe, parts: Sequence[Recordings], front_end: FrontEnd, seed: int
) -> dict[str, Any]:
    """What the clusters of a run are made of, as JSON."""
    tokens = [front_end.hop_samples, front_end.token_centre_samples]
    found: dict[str, Any] = {**asdict(recipe), "seed": seed, "tokens": tokens}
    for name in ("code_width", "temperature", "unmasked_weight"):
        del found[name]  # these teach, they make no cluster
    if recipe.features_of is not None:
        try:
            found["sha256"] = hashlib.sha256(Path(recipe.features_of).read_bytes()).hexdigest()
        except OSError as error:
            raise CheckpointError(f"{recipe.features_of}: cannot be read: {error.strerror}") from error
    found["corpora"] = [
        [part.corpus.name, len(part.clips), sum(clip.num_samples for clip in part.clips)] for part in parts
    ]
    return found


def cluster_labels(
    recipe: ClusterRecipe,
    parts: Sequence[Recordings],
    *,
    front_end: FrontEnd,
    seed: int,
    path: Path,
    name: str,
) -> Labels:
    """The cluster of every token of every clip of ``parts``, from ``path`` (.npz) where they stand already.

    Raises:
        CheckpointError, RecipeError: what features are to be made of does not fit; see ``ClusterRecipe``.
        OSError: they cannot be written.
    """
    from tqdm import tqdm

    identity = _identity(recipe, parts, front_end, seed)
    clips = [(part.corpus, clip) for part in parts for clip in part.clips]
    counts = [-(-clip.num_samples // front_end.hop_samples) for _, clip in clips]
    flat = _stored(path, identity)
    if flat is None:
        with torch.no_grad():
            features = _features_of(recipe, front_end, f"{name}.clusters")
            kmeans = _fit(recipe, clips, features, seed, name)
            told = [
                kmeans(features(torch.from_numpy(clip_samples(*clip)))).numpy().astype(np.uint16)
                for clip in tqdm(clips, desc="clusters", unit="clip", mininterval=2.0)
            ]
        flat = np.concatenate(told)
        part = path.with_suffix(".part.npz")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(part, labels=flat, centres=kmeans.centres.numpy(), identity=json.dumps(identity))
        os.replace(part, path)
    ends = np.cumsum(counts)
    keys = [(corpus.name, clip.id) for corpus, clip in clips]
    return {key: flat[end - n : end] for key, end, n in zip(keys, ends, counts, strict=True)}


def _stored(path: Path, identity: dict[str, Any]) -> NDArray[np.uint16] | None:
    """Labels made before of the very same things."""
    if not path.is_file():
        return None
    with np.load(path) as stored:
        if json.loads(str(stored["identity"])) != json.loads(json.dumps(identity)):
            return None
        labels: NDArray[np.uint16] = stored["labels"]
        return labels
