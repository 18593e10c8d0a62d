"""The field's other data sets: trees with their real names, and lists as their authors write them."""

import json
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import trees

from ffpp_prep.datasets.layouts import Listing, list_videos
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import VideoRecord
from ffpp_prep.stages import scan

REAL = "original_sequences"


def found(root: Path, **choices: bool) -> dict[str, VideoRecord]:
    return {v.video_id: v for v in list_videos(root, **choices).videos}


def reasons(listing: Listing) -> dict[str, str]:
    return {f"{r.where}/{r.entry.strip(chr(39))}".removeprefix("./"): r.reason for r in listing.refused}


def facts(video: VideoRecord) -> tuple[str, int, str, str, str, str]:
    return video.method, video.label, video.split, video.original_id, video.target_id, video.source_id


# --- DFDC's other sets ---------------------------------------------------------------------------------------


def dfdc_test(root: Path, folder: str = "test", videos: str = "test", table: bool = True) -> Path:
    names = [f"{letter}vmmcmifmg.mp4" for letter in "abcd"]
    trees.touch(root, (f"{videos}/{name}" for name in names))
    (root / folder).mkdir(exist_ok=True)
    if table:
        rows = "".join(f"{name},{number % 2}\n" for number, name in enumerate([*names, "absent.mp4"]))
        (root / folder / "labels.csv").write_text(f"filename,label\n{rows}")
    entries = {name: {"is_fake": number % 2, "size": 1} for number, name in enumerate([*names, "absent.mp4"])}
    (root / folder / "metadata.json").write_text(json.dumps(entries))
    return root


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize(
    ("folder", "videos"), [("test", "test"), ("DFDC", "DFDC/videos"), ("test", "test/ori_videos")]
)
def test_dfdc_test(tmp_path: Path, folder: str, videos: str, table: bool) -> None:
    listing = list_videos(dfdc_test(tmp_path, folder, videos, table))
    assert [(v.video_id, v.label, v.split, v.dataset) for v in listing.videos] == [
        (f"{videos}/{letter}vmmcmifmg.mp4", number % 2, "test", "dfdc")
        for number, letter in enumerate("abcd")
    ]
    assert "1 of 5 videos not on disk (first: 'absent.mp4')" in listing.notes[0]
    assert not listing.refused


def test_dfdc_test_beside_training_parts(tmp_path: Path) -> None:
    trees.dfdc(tmp_path, parts=1, originals=2, fakes=1)
    dfdc_test(tmp_path)
    videos = found(tmp_path).values()
    assert Counter(v.split for v in videos) == {"": 4, "test": 4}


def test_dfdc_test_whose_lists_disagree(tmp_path: Path) -> None:
    dfdc_test(tmp_path)
    table = tmp_path / "test/labels.csv"
    table.write_text(table.read_text().replace("avmmcmifmg.mp4,0", "avmmcmifmg.mp4,1"))
    with pytest.raises(UserError, match=r"avmmcmifmg\.mp4 has another label here than in test/labels\.csv"):
        list_videos(tmp_path)


def test_dfdc_preview(tmp_path: Path) -> None:
    fake = "method_{}/1254207/1254207_A/643971_1254207_A_001.mp4"
    names = {
        "original_videos/1254207/1254207_A_001.mp4": {"label": "real", "set": "train", "target_id": 1254207},
        fake.format("A"): {"label": "fake", "set": "train", "target_id": 1254207, "swapped_id": 643971},
        fake.format("B"): {"label": "fake", "set": "test", "target_id": "1254207", "swapped_id": "643971"},
    }
    trees.touch(tmp_path, names)
    absent = {"method_A/9/9_A/8_9_A_001.mp4": {"label": "fake", "set": "test"}}
    (tmp_path / "dataset.json").write_text(json.dumps({**names, **absent, "x.mp4": {"label": "?"}}))
    videos = found(tmp_path)
    original = "original_videos/1254207/1254207_A_001.mp4"
    assert facts(videos[original]) == (REAL, 0, "train", "", "1254207", "")
    assert facts(videos[fake.format("A")]) == ("method_A", 1, "train", original, "1254207", "643971")
    assert facts(videos[fake.format("B")]) == ("method_B", 1, "test", original, "1254207", "643971")


# --- Celeb-DF++ and FaceForensics++ by others ----------------------------------------------------------------


@pytest.mark.parametrize("home", ["", "Celeb-DF-v3/"])
def test_celebdf_plus_plus(tmp_path: Path, home: str) -> None:
    fakes = {
        "Celeb-synthesis/FaceSwap/Celeb-DF-v2/id0_id1_0000.mp4": ("Celeb-DF-v2", "id0_0000", "id0", "id1"),
        "Celeb-synthesis/FaceReenact/DaGAN/id0_id1_0000.mp4": ("DaGAN", "id0_0000", "id0", "id1"),
        "Celeb-synthesis/FaceReenact/LIA/id0_id1_0000.mp4": ("LIA", "id0_0000", "id0", "id1"),
        "Celeb-synthesis/TalkingFace/SadTalker/id0_0000_test_0003.mp4": ("SadTalker", "id0_0000", "id0", ""),
    }
    trees.touch(
        tmp_path, (f"{home}{name}" for name in (*fakes, "Celeb-real/id0_0000.mp4", "YouTube-real/00170.mp4"))
    )
    trees.touch(tmp_path, [f"{home}Celeb-synthesis/FaceSwap/a/b/id0_id1_0000.mp4"])
    lines = ["0 Celeb-synthesis/FaceReenact/DaGAN/id0_id1_0000.mp4", "1 YouTube-real/00170.mp4"]
    (tmp_path / home / "List_of_testing_videos.txt").write_text("\n".join(lines))
    listing = list_videos(tmp_path)
    videos = {v.video_id.removeprefix(home): v for v in listing.videos}
    for name, (method, clip, target, source) in fakes.items():
        original = f"{home}Celeb-real/{clip}.mp4"
        split = "test" if "DaGAN" in name else ""
        assert facts(videos[name]) == (method, 1, split, original, target, source), name
    assert videos["YouTube-real/00170.mp4"].split == "test"
    assert list(reasons(listing).values()) == ["deeper than Celeb-synthesis/<family>/<method>/x.mp4"]


@pytest.mark.parametrize(
    ("home", "compression"), [("FaceForensics++_C23/", "c23"), ("FF++_c40/", "c40"), ("", "c23")]
)
def test_ffpp_of_kaggle(tmp_path: Path, home: str, compression: str) -> None:
    names = ["original/000.mp4", "original/001.mp4", "Deepfakes/000_001.mp4", "FaceShifter/001_000.mp4"]
    dfd = "DeepFakeDetection/01_02__exit_phone_room__YVGY8LOK.mp4"
    trees.touch(tmp_path, (f"{home}{name}" for name in (*names, dfd)))
    trees.touch(tmp_path, (f"{home}csv/{name}.csv" for name in ("FF++_Metadata", "Deepfakes")))
    listing = list_videos(tmp_path)
    assert not listing.refused
    videos = {v.video_id: v for v in listing.videos}
    assert facts(videos[f"{home}Deepfakes/000_001.mp4"]) == (
        *("Deepfakes", 1, "", f"{home}original/000.mp4"),
        *("000", "001"),
    )
    assert {v.compression for v in videos.values()} == {compression}
    assert (videos[f"{home}{dfd}"].dataset, videos[f"{home}{dfd}"].original_id) == ("dfd", "")
    lists = trees.write_splits(
        tmp_path / "splits", [("000", "001"), ("002", "003"), ("004", "005")], (1, 1, 1)
    )
    scan(tmp_path, tmp_path / "work")
    assert lists.is_dir()


def test_somebodys_own_original_and_deepfakes_are_a_folder(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["original/a.mp4", "deepfakes/b.mp4"])
    assert {v.dataset for v in found(tmp_path).values()} == {"folder"}


def test_splits_at_the_root_as_self_blended_images_has_them(tmp_path: Path) -> None:
    trees.ffpp(tmp_path, ("raw",), methods=("Deepfakes",), originals=6)
    lists = trees.write_splits(tmp_path / "lists", trees.ffpp_pairs(6), (1, 1, 1))
    for file in lists.iterdir():
        file.rename(tmp_path / file.name)
    lists.rmdir()
    summary = scan(tmp_path, tmp_path.parent / "work")
    assert summary.counts[("Deepfakes", "train")] == summary.counts[("Deepfakes", "test")] == 2
    assert not summary.refused


@pytest.mark.parametrize("strangers", ["Youtube-real", "YouTube-real"])
def test_celebdf_as_self_blended_images_has_it(tmp_path: Path, strangers: str) -> None:
    names = [
        "Celeb-real/videos/id0_0000.mp4",
        f"{strangers}/videos/00170.mp4",
        "Celeb-synthesis/videos/id0_id1_0000.mp4",
    ]
    trees.touch(tmp_path, (f"Celeb-DF-v2/{name}" for name in names))
    (tmp_path / "Celeb-DF-v2/List_of_testing_videos.txt").write_text("1 YouTube-real/00170.mp4\n")
    videos = found(tmp_path)
    assert len(videos) == 3 and videos[f"Celeb-DF-v2/{strangers}/videos/00170.mp4"].split == "test"


# --- sets of actors and of people filmed for them ------------------------------------------------------------


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
    heard = found(tmp_path, altered_voice=True)[f"FakeAVCeleb_v1.2/{names['voice']}"]
    assert facts(heard) == (REAL, 0, "", "", "id00076", "")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_kodf_however_its_letters_are_composed(tmp_path: Path, form: str) -> None:
    def written(text: str) -> str:
        return unicodedata.normalize(form, text)

    fake = "원천데이터/train_변조/dffs/T1/T1_S1_0_1.mp4"
    real = "원천데이터/train_원본/T1/T1_0001.mp4"
    trees.touch(tmp_path, map(written, (fake, real)))
    tables = tmp_path / written("라벨링데이터/train_meta_data")
    tables.mkdir(parents=True)
    (tables / written("변조영상_training_메타데이터.csv")).write_text(
        "영상ID,타겟영상,타겟UUID,소스UUID\nT1_S1_0_1.mp4,T1_0001.mp4,p-1,p-2\nabsent.mp4,T1_0001.mp4,p-1,p-3\n"
    )
    (tables / written("원본영상_training_메타데이터.csv")).write_text("영상ID\nT1_0001.mp4\n")
    listing = list_videos(tmp_path)
    videos = {v.video_id: v for v in listing.videos}
    assert facts(videos[written(fake)]) == ("dffs", 1, "train", written(real), "p-1", "p-2")
    assert facts(videos[written(real)]) == (REAL, 0, "train", "", "p-1", "")
    assert "1 of 3 videos not on disk" in listing.notes[0] and not listing.refused


# --- films of which a part was altered -----------------------------------------------------------------------


def test_lavdf(tmp_path: Path) -> None:
    trees.touch(tmp_path, ("train/000001.mp4", "train/000002.mp4", "dev/000003.mp4", "test/000004.mp4"))
    rows = [
        {"file": "train/000001.mp4", "n_fakes": 0, "original": None, "split": "train"},
        {
            "file": "train/000002.mp4",
            "n_fakes": 1,
            "original": "train/000001.mp4",
            "split": "train",
            "modify_video": True,
            "fake_periods": [[3.0, 4.25], [1.2, 2]],
        },
        {
            "file": "dev/000003.mp4",
            "n_fakes": 1,
            "original": "x",
            "split": "dev",
            "modify_video": True,
            "modify_audio": True,
        },
        {"file": "test/000004.mp4", "n_fakes": 1, "original": "x", "split": "test", "modify_audio": True},
        {"file": "../../etc/passwd", "modify_video": False, "split": "test"},
        "nonsense",
    ]
    for name in ("metadata.json", "metadata.min.json"):
        (tmp_path / name).write_text(json.dumps(rows))
    listing = list_videos(tmp_path)
    assert [facts(v)[:4] for v in listing.videos] == [
        ("LAV-DF", 1, "val", ""),
        (REAL, 0, "train", ""),
        ("LAV-DF", 1, "train", "train/000001.mp4"),
    ]
    assert [v.fake_segments for v in listing.videos] == ["", "", "1.2-2 3-4.25"]
    assert any(note.startswith("1 fake altered for a part of the time") for note in listing.notes)
    assert "1 of 5 videos not on disk" in listing.notes[0]
    assert "test/000004.mp4" in found(tmp_path, altered_voice=True)


@pytest.mark.parametrize("beside", [False, True])
def test_avdeepfake1m(tmp_path: Path, beside: bool) -> None:
    rows = {
        "real": ("id00012/a/real.mp4", "real", None),
        "seen": ("id00012/a/fake_video_real_audio.mp4", "visual_modified", "id00012/a/real.mp4"),
        "both": ("id00012/a/fake_video_fake_audio.mp4", "both-modified", "id00012/a/real.mp4"),
        "heard": ("id00012/a/real_video_fake_audio.mp4", "audio_modified", "id00012/a/real.mp4"),
    }
    trees.touch(tmp_path, (f"train/{file}" for file, *_ in rows.values()))
    trees.touch(tmp_path, ["testA/000001.mp4" if beside else "test/000001.mp4"])
    entries = [{"file": f, "modify_type": kind, "original": original} for f, kind, original in rows.values()]
    entries[1]["fake_segments"] = [[0.5, 0.9]]
    entries[2] |= {"fake_segments": [[0.1, 0.9]], "visual_fake_segments": [[0.5, 0.9], [0.8, 1]]}
    if beside:
        for entry in entries:
            (tmp_path / "train" / entry["file"]).with_suffix(".json").write_text(json.dumps(entry))
    else:
        (tmp_path / "train_metadata.json").write_text(json.dumps(entries))
        (tmp_path / "val_metadata.json").write_text(
            json.dumps([{"file": "id1/x.mp4", "modify_type": "real"}, {"file": "y", "modify_type": "melted"}])
        )
    listing = list_videos(tmp_path)
    videos = {v.video_id: v for v in listing.videos}
    original = f"train/{rows['real'][0]}"
    assert facts(videos[original]) == (REAL, 0, "train", "", "id00012", "")
    assert facts(videos[f"train/{rows['seen'][0]}"]) == (
        "visual_modified",
        1,
        "train",
        original,
        "id00012",
        "",
    )
    assert videos[f"train/{rows['seen'][0]}"].fake_segments == "0.5-0.9"
    assert videos[f"train/{rows['both'][0]}"].fake_segments == "0.5-1"
    assert facts(videos[f"train/{rows['both'][0]}"])[0] == "both_modified" and len(videos) == 3
    said = " ".join(reasons(listing).values())
    assert "only the voice was altered" in said and "whose label its authors don't give out" in said
    assert beside or "modify_type must be one of" in said
    assert len(found(tmp_path, altered_voice=True)) == 4


@pytest.mark.parametrize(
    "periods", [[[2, 1]], [["a", 2]], [[1]], "1-2", [[-1, 2]], [[0, float("nan")]], [[0, 1e9]]]
)
def test_segments_that_are_none_leave_their_fake_out(tmp_path: Path, periods: object) -> None:
    trees.touch(tmp_path, ("train/1.mp4", "train/2.mp4"))
    fake = {"file": "train/1.mp4", "split": "train", "modify_video": True, "fake_periods": periods}
    real = {"file": "train/2.mp4", "split": "train", "modify_video": False}
    (tmp_path / "metadata.json").write_text(json.dumps([fake, real]))
    listing = list_videos(tmp_path)
    assert [v.video_id for v in listing.videos] == ["train/2.mp4"]
    assert any("two times" in reason for reason in reasons(listing).values())


# --- films of the internet, and the oldest -------------------------------------------------------------------


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
