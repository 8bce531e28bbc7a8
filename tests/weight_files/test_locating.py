"""From names to files: folders, fingerprints, downloads that are forbidden, verification."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.fake_host import FakeHost, StopFromHost
from tests.small_weight_files import (
    TINY_BIREFNET,
    published,
    set_table,
    unet,
    write,
)
from toonout_core.errors import CorruptWeights, DownloadFailed, UnknownModel
from toonout_core.loading import load_network
from toonout_core.models.birefnet import BiRefNet
from toonout_core.weight_files import locating
from toonout_core.weight_files.fingerprints import Fingerprints


def test_published_file_is_found_by_content_under_any_name(monkeypatch, host, folder):
    deep = folder / "from somewhere"
    deep.mkdir()
    path = write(unet(), deep / "model (2).safetensors")
    write(unet(), folder / "decoy.safetensors")  # of the same size
    set_table(monkeypatch, published(path))
    for name in ("published", str(path), "model (2)"):
        loaded = load_network(name, host, download=False)
        assert loaded.path == path
        assert (loaded.name, loaded.input.size_hw) == ("published", (96, 64))


def test_folders_are_searched_in_order(monkeypatch, host):
    first, second = host.weight_dirs()
    second.mkdir()
    network = unet()
    late = write(network, second / "b.safetensors")
    set_table(monkeypatch, published(late))
    assert load_network("published", host).path == late
    first.mkdir(exist_ok=True)
    early = write(network, first / "a.safetensors")
    assert load_network("published", host).path == early
    assert load_network("b.safetensors", host).path == late


def test_other_file_of_the_same_numbers_serves(monkeypatch, host, folder):
    network = unet()
    path = write(network, folder / "converted-by-others.safetensors")
    twin = replace(published(path), name="twin", same_as="published")
    absent = replace(published(path), sha256="0" * 64, file="x.pth", size_is_exact=False)
    set_table(monkeypatch, absent, twin)
    loaded = load_network("published", host, download=False)
    assert (loaded.path, loaded.name) == (path, "published")


def test_file_in_the_cache_of_the_hubs_client_is_used(monkeypatch, host, folder, tmp_path):
    path = write(unet(), tmp_path / "model.safetensors")
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    row = published(path)
    blob = path.rename(blobs / row.sha256)
    path.symlink_to(blob)
    monkeypatch.setattr(locating, "cached", lambda row: path)
    for known in (row, replace(row, sha256="")):
        set_table(monkeypatch, known)
        assert load_network("published", host, download=False).path == path
    set_table(monkeypatch, replace(row, sha256="0" * 64))
    with pytest.raises(DownloadFailed):
        load_network("published", host, download=False)


def test_row_decides_patch_order_and_the_caller_overrides(monkeypatch, host, folder):
    path = write(BiRefNet(**TINY_BIREFNET).train(False), folder / "b.safetensors")
    row = published(path, architecture="birefnet")
    set_table(monkeypatch, replace(row, patch_order="channel_last"))
    assert load_network("published", host).network.patch_order == "channel_last"
    assert load_network(path, host).network.patch_order == "channel_last"
    chosen = load_network("published", host, patch_order="channel_first")
    assert chosen.network.patch_order == "channel_first"


def test_folders_are_hashed_once(monkeypatch, host, folder):
    path = write(unet(), folder / "a.safetensors")
    set_table(monkeypatch, replace(published(path), file="published.safetensors"))
    load_network("published", host)
    before = len(host.totals)
    assert before == 1
    again = FakeHost(host.weight_dirs())
    load_network("published", again)
    assert again.totals == []
    # a changed file is looked at again
    write(unet(widths=(4, 8)), path)
    os.utime(path, (1, 1))
    with pytest.raises(DownloadFailed):
        load_network("published", again, download=False)
    assert len(again.totals) == 1


def test_published_name_serves_where_the_content_is_not_known(monkeypatch, host, folder, caplog):
    path = write(unet(), folder / "published.safetensors")
    row = replace(published(path), sha256="0" * 64)
    set_table(monkeypatch, row)
    for _ in range(2):
        loaded = load_network("published", host, download=False)
    assert (loaded.path, loaded.weights) == (path, row)
    assert caplog.text.count("bears the name of published") == 1
    assert row.sha256 in caplog.text
    with pytest.raises(CorruptWeights, match="sha256 0000"):
        load_network("published", host, download=False, verify=True)
    exact = path.rename(folder / "other.safetensors")
    set_table(monkeypatch, replace(row, sha256=published(exact).sha256))
    (folder / "published.safetensors").write_bytes(write(unet(), folder / "b.pt").read_bytes())
    assert load_network("published", host, download=False).path == exact


@pytest.mark.parametrize("case", ["size", "two rows"])
def test_published_name_alone_is_not_enough(monkeypatch, host, folder, case):
    path = write(unet(), folder / "model.safetensors")
    row = replace(published(path), sha256="0" * 64)
    if case == "size":
        set_table(monkeypatch, replace(row, size_bytes=row.size_bytes + 1))
    else:
        set_table(monkeypatch, row, replace(row, name="another"))
    with pytest.raises(DownloadFailed):
        load_network("published", host, download=False)


def test_stop_while_hashing_passes_through(monkeypatch, folder):
    path = write(unet(), folder / "a.safetensors")
    set_table(monkeypatch, published(path))
    with pytest.raises(StopFromHost):
        load_network("published", FakeHost([folder], cancel_at=1))


def test_nothing_is_asked_where_downloads_are_forbidden(monkeypatch, host, folder):
    row = published(write(unet(), folder / "a.safetensors"))
    (folder / "a.safetensors").unlink()
    set_table(monkeypatch, row)
    with pytest.raises(DownloadFailed) as caught:
        load_network("published", host, download=False)
    text = str(caught.value)
    assert all(str(place) in text for place in host.weight_dirs())
    assert row.url in text
    assert "published" in text


def test_unknown_name_says_what_there_is_and_where_was_looked(host, folder):
    with pytest.raises(UnknownModel) as caught:
        load_network("toonuot", host)
    assert "toonout-mini, toonout," in str(caught.value)
    assert str(folder) in str(caught.value)
    with pytest.raises(UnknownModel, match="is a folder"):
        load_network(folder, host)


def test_wrong_task_is_refused(host):
    with pytest.raises(UnknownModel, match="one for instances, but toonout is for matting"):
        load_network("toonout", host, task="instances")


def test_file_of_another_architecture_than_its_row(monkeypatch, host, folder):
    path = write(unet(), folder / "a.safetensors")
    set_table(monkeypatch, published(path, architecture="birefnet"))
    with pytest.raises(CorruptWeights, match="must be birefnet"):
        load_network("published", host)


# ---------------------------------------------------------------- verification


def test_verify_sees_what_size_and_time_hide(monkeypatch, host, folder):
    path = write(unet(), folder / "a.safetensors")
    set_table(monkeypatch, published(path))
    load_network("published", host, verify=True)
    stamp = path.stat().st_mtime_ns
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stamp, stamp))
    load_network("published", host)
    with pytest.raises(CorruptWeights, match="altered or damaged"):
        load_network("published", host, verify=True)


def test_verify_compares_with_the_record_of_a_download(host, folder):
    path = write(unet(), folder / "a.safetensors")
    fingerprints = Fingerprints(host)
    digest = fingerprints.of(path, again=True).sha256
    fingerprints.remember(path, digest, "owner/name/a.safetensors")
    load_network(path, host, verify=True)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptWeights, match=digest):
        load_network(path, host, verify=True)


def test_verify_of_an_unknown_file_says_so(host, folder, caplog):
    load_network(write(unet(), folder / "a.safetensors"), host, verify=True)
    assert "no checksum is known" in caplog.text
