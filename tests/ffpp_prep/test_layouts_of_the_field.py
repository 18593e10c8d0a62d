"""The field's other data sets: trees with their real names, and lists as their authors write them."""

import unicodedata
from pathlib import Path

import pytest
import trees
from listings import REAL, facts, found, reasons

from ffpp_prep.datasets.layouts import list_videos
from ffpp_prep.errors import UserError


def test_deeperforensics(tmp_path: Path) -> None:
    trees.touch(
        tmp_path,
        ["source_videos/M004/light_down/happy/camera_front/x.mp4", "source_videos/W101/BlendShape/y.mp4"],
    )
    variants = ("end_to_end", "end_to_end_level_3", "reenact_postprocess")
    trees.touch(
        tmp_path, (f"manipulated_videos/{v}/{n}.mp4" for v in variants for n in ("000_M004", "123_W101"))
    )
    (tmp_path / "lists/splits").mkdir(parents=True)
    (tmp_path / "lists/splits/train.txt").write_text("000_M004.mp4\nnonsense\n")
    (tmp_path / "lists/splits/val.txt").write_text("123_W101.mp4\n")
    listing = list_videos(tmp_path)
    videos = {v.video_id: v for v in listing.videos}
    for variant in variants:
        assert facts(videos[f"manipulated_videos/{variant}/000_M004.mp4"]) == (
            *(variant, 1, "train", ""),
            *("ffpp-000", "m004"),
        )
        assert videos[f"manipulated_videos/{variant}/123_W101.mp4"].split == "val"
    assert facts(videos["source_videos/W101/BlendShape/y.mp4"]) == (REAL, 0, "", "", "w101", "")
    assert "source videos count as real" in listing.notes[0]
    assert list(reasons(listing).values()) == ["no line such as  000_M101.mp4"]


@pytest.mark.parametrize("videos", ["", "videos/"])
def test_ffiw(tmp_path: Path, videos: str) -> None:
    for part in ("source", "target", "target_mask"):
        trees.touch(tmp_path, (f"{part}/{split}/{videos}00000001.mp4" for split in ("train", "val")))
    trees.touch(tmp_path, [f"target_mask/train/{videos}00000009.mp4"])
    listing = list_videos(tmp_path)
    assert len(listing.videos) == 4 and list(reasons(listing).values()) == ["a mask whose fake isn't on disk"]
    fake = found(tmp_path)[f"target/val/{videos}00000001.mp4"]
    assert facts(fake) == ("FFIW", 1, "val", "", "", "")
    assert fake.mask_path == str(tmp_path.resolve() / f"target_mask/val/{videos}00000001.mp4")
    assert facts(found(tmp_path)[f"source/train/{videos}00000001.mp4"]) == (REAL, 0, "train", "", "", "")


def test_fakeavceleb(tmp_path: Path) -> None:
    who = "African/men/id00076"
    names = {
        "real": f"RealVideo-RealAudio/{who}/00109.mp4",
        "voice": f"RealVideo-FakeAudio/{who}/00109_fake.mp4",
        "fake": f"FakeVideo-RealAudio/{who}/00109_2_id00701_wavtolip.mp4",
        "both": f"FakeVideo-FakeAudio/{who}/00109.mp4",  # it bears its real's name
    }
    trees.touch(tmp_path, (f"FakeAVCeleb_v1.2/{name}" for name in names.values()))
    header = "source,target1,target2,method,category,type,race,gender,path,"
    rows = [header]
    for kind, method in (
        ("real", "real"),
        ("voice", "rtvc"),
        ("fake", "fsgan-wav2lip"),
        ("both", "faceswap"),
        ("fake", "x"),
    ):
        folder, _, name = names[kind].rpartition("/")
        rows.append(
            f"id00076,id00701,-,{method},A,{folder.split('/')[0]},African,men,{name},FakeAVCeleb/{folder}"
        )
    rows.append(
        "id1,id2,-,real,A,RealVideo-RealAudio,African,men,9.mp4,FakeAVCeleb/RealVideo-RealAudio/African/men/id1"
    )
    (tmp_path / "FakeAVCeleb_v1.2/meta_data.csv").write_text("\n".join(rows))
    listing = list_videos(tmp_path)
    videos = {v.video_id.removeprefix("FakeAVCeleb_v1.2/"): v for v in listing.videos}
    original = f"FakeAVCeleb_v1.2/{names['real']}"
    assert facts(videos[names["real"]]) == (REAL, 0, "", "", "id00076", "")
    assert facts(videos[names["fake"]]) == ("fsgan-wav2lip", 1, "", original, "id00076", "id00701")
    assert facts(videos[names["both"]]) == ("faceswap", 1, "", original, "id00076", "id00701")
    assert names["voice"] not in videos and "only the voice was altered" in " ".join(
        reasons(listing).values()
    )
    assert (
        "1 of 6 videos not on disk" in listing.notes[0]
        and "1 row with a file named before" in listing.notes[-1]
    )
    trees.touch(tmp_path, [f"FakeAVCeleb_v1.2/FakeVideo-RealAudio/{who}/00109_id00009_x.mp4"])
    told = "1 fake without a row in meta_data.csv: the type of the folder is the method"
    assert told in list_videos(tmp_path).notes
    heard = found(tmp_path, altered_voice=True)[f"FakeAVCeleb_v1.2/{names['voice']}"]
    assert facts(heard) == (REAL, 0, "", "", "id00076", "")


@pytest.mark.parametrize(("form", "encoding"), [("NFC", "utf-8-sig"), ("NFD", "utf-8"), ("NFC", "cp949")])
def test_kodf_however_its_letters_are_written(tmp_path: Path, form: str, encoding: str) -> None:
    def written(text: str) -> str:
        return unicodedata.normalize(form, text)

    fake = "원천데이터/train_변조/dffs/T1/T1_S1_0_1.mp4"
    real = "원천데이터/train_원본/T1/T1_0001.mp4"
    trees.touch(tmp_path, map(written, (fake, real)))
    tables = tmp_path / written("라벨링데이터/train_meta_data")
    tables.mkdir(parents=True)
    (tables / written("변조영상_training_메타데이터.csv")).write_text(
        "영상ID,타겟영상,타겟UUID,소스UUID\nT1_S1_0_1.mp4,T1_0001.mp4,p-1,p-2\nabsent.mp4,T1_0001.mp4,p-1,p-3\n",
        encoding=encoding,
    )
    (tables / written("원본영상_training_메타데이터.csv")).write_text(
        "영상ID\nT1_0001.mp4\n", encoding=encoding
    )
    listing = list_videos(tmp_path)
    videos = {v.video_id: v for v in listing.videos}
    assert facts(videos[written(fake)]) == ("dffs", 1, "train", written(real), "p-1", "p-2")
    assert facts(videos[written(real)]) == (REAL, 0, "train", "", "p-1", "")
    assert "1 of 3 videos not on disk" in listing.notes[0] and not listing.refused


def test_deepfake_eval_2024(tmp_path: Path) -> None:
    rows = ["Filename,Video Ground Truth,Audio Ground Truth,Finetuning Set"]
    rows += [
        "-a.webm,Fake,Unknown,train",
        "b.webm,Real,Real,test",
        "c.webm,Unknown,Fake,test",
        "d.webm,Real,Fake,test",
    ]
    (tmp_path / "video-metadata-publish.csv").write_text("\n".join([*rows, "e.webm,Fake,Fake,test"]))
    trees.touch(tmp_path, (f"video-data/{letter}.webm" for letter in ("-a", "b", "c", "d")))
    listing = list_videos(tmp_path)
    assert [(v.video_id, *facts(v)[:3]) for v in listing.videos] == [
        ("video-data/-a.webm", "in the wild", 1, "train"),
        ("video-data/b.webm", REAL, 0, "test"),
    ]
    assert sorted(reasons(listing).values()) == [
        "its authors don't know whether the picture is real",
        "the picture is real and only the voice was altered; --altered-voice takes it as real",
    ]
    assert "1 of 5 videos not on disk" in listing.notes[0]


def test_uadfv(tmp_path: Path) -> None:
    trees.touch(
        tmp_path, (f"UADFV/{name}" for name in ("real/0000.mp4", "real/0001.mp4", "fake/0000_fake.mp4"))
    )
    videos = found(tmp_path)
    assert facts(videos["UADFV/fake/0000_fake.mp4"]) == ("UADFV", 1, "", "UADFV/real/0000.mp4", "0000", "")
    assert {v.dataset for v in videos.values()} == {"uadfv"}
    trees.touch(tmp_path, ["UADFV/fake/mine.mp4"])
    assert {v.dataset for v in found(tmp_path).values()} == {"folder"}


@pytest.mark.parametrize(
    "broken",
    [
        {"dataset.json": '{"method_A/'},
        {"metadata.json": '[{"modify_video": tr'},
        {"metadata.json": '{"modify_video": 1}'},
        {"train_metadata.json": '{"modify_type": 3}'},
        {"video-metadata-publish.csv": "Name,Truth\na.mp4,Fake\n"},
        {"video-metadata-publish.csv": ""},
        {"labels.csv": "filename,label\na.mp4,0,2,3\n"},
        {"metadata.json": '["is_fake"]', "a.json": ""},
    ],
)
def test_a_damaged_list_is_one_line(tmp_path: Path, broken: dict[str, str]) -> None:
    trees.touch(tmp_path, ["a.mp4"])
    for name, content in broken.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as error:
        list_videos(tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
