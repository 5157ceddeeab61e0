"""The folder of the command: what lies there stays, and what is old is told."""


def test_older_result_files_are_told(detect, weights, folder, tmp_path):
    older = tmp_path / "out/kitti/000001.txt"
    older.parent.mkdir(parents=True)
    older.write_text("")
    run = detect(folder, "--weights", weights("detection2d"), "--format", "kitti", "--no-pictures")
    assert run.status == 0
    assert "1 older files are in" in run.err
    assert "such as kitti/000001.txt" in run.err
    again = detect(folder / "000000000139.png", "--weights", weights("detection2d"))
    assert "4 older files are in" in again.err
    assert detect(folder, "--weights", weights("detection2d")).err.count("older files") == 1


def test_the_source_is_not_written_over(detect, weights, folder, tmp_path):
    pictures = tmp_path / "out/pictures"
    pictures.parent.mkdir()
    folder.rename(pictures)
    before = {path: path.read_bytes() for path in pictures.iterdir()}
    run = detect(pictures, "--weights", weights("detection2d"))
    assert run.status == 2
    assert "000000000139.png would replace its own source: choose another --output" in run.err
    assert {path: path.read_bytes() for path in pictures.iterdir()} == before
    assert detect(pictures, "--weights", weights("detection2d"), "--no-pictures").status == 0


def test_the_film_does_not_replace_the_video(detect, weights, video, tmp_path):
    film = tmp_path / "out/film.webm"
    film.parent.mkdir()
    video.rename(film)
    run = detect(film, "--weights", weights("detection2d"), "--no-pictures")
    assert run.status == 2
    assert "film.webm would replace its own source" in run.err
