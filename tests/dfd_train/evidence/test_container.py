"""What a scored file says of itself: container, tracks, edit lists, a photograph's EXIF."""

import av
import PIL.Image
import prediction

from dfd_train.predict.container import container_of
from dfd_train.predict.inputs import Input


def test_what_a_container_says_of_itself(tmp_path) -> None:
    path = tmp_path / "clip.mp4"
    plain = prediction.encode(tmp_path / "plain.mp4", prediction.faces(20))
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        out.metadata.update(
            creation_time="2021-03-04T05:06:07.000000Z", location="+48.2+016.4/", title="\x1b[31m"
        )
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    said = container_of(Input(path, "clip.mp4"))
    assert said is not None
    assert "MOV" in said.format and said.encoder.startswith("Lavf")
    assert said.created.startswith("2021-03-04T05:06:07")
    (track,) = said.tracks
    assert track.startswith(
        "video: codec h264 (High), colours yuv420p, 352 × 288, 25 frames a second, 0.80 s"
    )
    # frames out of order begin two later: the list skips what is not there
    assert said.edit_lists == ("track 1: 0.800 s from 0.080 s on",)
    assert "48.2" not in str(said) and "\x1b" not in str(said)


def test_sound_for_one_ear_has_one_channel(tmp_path) -> None:
    path = prediction.with_sound(tmp_path / "sound.mp4", prediction.faces(10))
    said = container_of(Input(path, path.name))
    assert said is not None and said.tracks[1].startswith("audio: codec aac (LC), 48000 Hz, 1 channel, ")


def test_no_more_of_an_index_is_searched_for_edit_lists_than_a_film_has(tmp_path) -> None:
    """A hostile one holds millions of boxes."""
    plain = prediction.encode(tmp_path / "plain.mp4", prediction.faces(4)).read_bytes()
    at = plain.index(b"moov") - 4
    length = int.from_bytes(plain[at : at + 4])
    padding = 300_000 * (b"\0\0\0\x08free")
    grown = (length + len(padding)).to_bytes(4) + b"moov" + padding + plain[at + 8 : at + length]
    (tmp_path / "a.mp4").write_bytes(plain[:at] + grown + plain[at + length :])
    said = container_of(Input(tmp_path / "a.mp4", "a.mp4"))
    assert said is not None and said.edit_lists == ()  # it stands behind them


def test_what_a_photograph_says_of_itself(tmp_path) -> None:
    image = PIL.Image.fromarray(prediction.faces(1)[0])
    exif = image.getexif()
    exif[0x10F], exif[0x110], exif[0x131] = "Maker", "Model 3", "Editor 4"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    image.save(tmp_path / "a.jpg", exif=exif)
    said = container_of(Input(tmp_path / "a.jpg", "a.jpg"))
    assert said is not None
    assert (said.format, said.device, said.software) == ("JPEG", "Maker Model 3", "Editor 4")
    assert said.created == "2020:01:02 03:04:05"
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:50])
    assert container_of(Input(tmp_path / "b.jpg", "b.jpg")) is None
