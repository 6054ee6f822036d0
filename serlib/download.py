"""Fetch corpora from where their publishers, or a known mirror, offer them: resumed, checked, and placed whole.

pooch looks after checksums and temporary files. What it does not do is done here: an interrupted transfer goes on
where it stopped, and an archive is unpacked only if nothing in it can do harm.
"""

import errno
import itertools
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pooch
import requests
from tqdm.auto import tqdm

from . import corpora, doctor, settings, synthetic

TIMEOUT_S = 30  # without a byte
BLOCK = 1 << 16  # of an interrupted transfer, all blocks that arrived are kept
N_CONNECTIONS, MAX_FAILURES = 8, 20
SPOILT = (
    "altered",
    "lfs-pointer",
    "empty",
    "no-samples",
    "text",
    "unreadable",
    "too-long",
    "format",
    "cut-off",
)  # fetched again
MAX_MEMBERS, MAX_BYTES = 20_000, 3 << 30  # of an archive, unpacked; the largest corpus has 7,442 files and 1 GB
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, IndexError, OSError, RuntimeError, UnicodeError)
# What an archive is to blame for, not the disk.
MISLAID = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL)


def fetch(corpus, data, *, timeout_s=TIMEOUT_S, progress=False):
    """Download a corpus into its folder and compare it with what was published.

    Parameters
    ----------
    corpus : str or Passport
        The corpus's name.
    data : path-like
        Where the corpora lie; the corpus gets a folder of its own in it.
    timeout_s : float
        How long the server may be silent.
    progress : bool
        Whether to show progress bars on stderr.

    Returns
    -------
    doctor.Report
        On the folder; one that is complete already is only compared.

    Raises
    ------
    LookupError
        If the corpus cannot be downloaded without a person; the message says, step by step, what to do.
    ConnectionError
        If the transfer fails; what has arrived is kept, and a further call goes on from there.
    FileExistsError
        If something else is where the corpus belongs.
    ValueError
        If what has arrived is not what was published, or could do harm; it is deleted. Also if the corpus is your own.
    """
    passport, data = corpora.get(corpus), Path(data)
    if passport.home:
        raise ValueError(
            f"{passport.id} is a corpus of your own, in {passport.home}; expected a published one. Check it: python -m"
            f" serlib doctor -d {passport.home}"
        )
    if not passport.download.keys() & {"url", "files"}:
        raise LookupError("\n".join(instructions(passport, data)))
    pooch.get_logger().setLevel("WARNING")
    folder = corpora.find_folder(data, passport) or data / passport.folder
    if folder.is_file():
        raise FileExistsError(f"{folder} is a file; expected a folder, or nothing. Move it away, then try again")
    if "files" in passport.download:
        _fetch_files(passport, folder, timeout_s, progress)
    elif not folder.is_dir() or not any(folder.iterdir()):
        _fetch_archive(passport, folder, timeout_s, progress)
    _partial(passport, folder).unlink(missing_ok=True)  # of an archive that is unpacked
    settings.sweep(folder)  # a process may have been killed when it had just done all
    report = doctor.examine(folder, passport, progress=progress)
    if not report.n_found:
        raise FileExistsError(
            f"{folder} holds nothing of {passport.id}; expected the corpus, or nothing. Move it away, then try again"
        )
    return report


def instructions(corpus, data):
    """Say how a person gets a corpus that cannot be downloaded without one.

    Parameters
    ----------
    corpus : str or Passport
    data : path-like
        Where the corpora lie.

    Returns
    -------
    list of str
        A line each; the last step checks the copy.
    """
    passport = corpora.get(corpus)
    check = f"Check it: python -m serlib doctor -n {passport.id} -d {Path(data) / passport.folder}"
    steps = [*passport.download.get("steps", ("Its passport does not say where it can be had.",)), check]
    title = f"{passport.id} is given to people only (licence: {passport.licence or 'not stated'}). What to do:"
    return [title, *(f"  {number}. {step}" for number, step in enumerate(steps, 1))]


def _partial(passport, folder):
    return folder.parent / f".{passport.id}.zip.part"


def _fetch_archive(passport, folder, timeout_s, progress):
    """Download an archive beside the folder, unpack it beside the folder, and move it into place."""
    declared, folder = passport.download, Path(folder)
    partial, most = _partial(passport, folder), 2 * int(passport.manifest()["bytes"].sum())  # packed, there is less
    with settings.hidden(folder, is_folder=True) as place:
        try:
            archive = pooch.retrieve(
                declared["url"],
                known_hash=f"md5:{declared['md5']}" if "md5" in declared else None,
                fname="archive.zip",
                path=place,
                downloader=lambda url, output, _: _resume(url, output, partial, most, timeout_s, progress),
            )
            archive = Path(archive).replace(partial)  # kept until it is unpacked
        except ValueError:
            raise _refused(passport, f"is another than was published; expected the MD5 {declared['md5']}") from None
        try:
            unpack(archive, place / "unpacked", progress=progress)
        except ValueError as error:
            raise _refused(passport, error, archive) from None
        if not doctor.examine(place / "unpacked", passport, quick=True).n_found:
            why = f"holds nothing of {passport.id}; expected names like {passport.example}"
            raise _refused(passport, why, archive)
        if folder.is_dir():
            folder.rmdir()
        (place / "unpacked").replace(folder)


def _refused(passport, why, archive=None):
    if archive is not None:
        archive.unlink()
    url = passport.download["url"]
    return ValueError(f"{passport.id}: the archive from {url} {why}. It was deleted; try again, then report it")


def _resume(url, output, partial, most, timeout_s, progress):
    """Download `url` to `partial`, from where it stopped before, up to `most` bytes or so, and move it to `output`."""
    there = partial.stat().st_size if partial.is_file() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout_s) as answer:
            if there and answer.status_code == requests.codes.requested_range_not_satisfiable:
                if answer.headers.get("Content-Range") != f"bytes */{there}":  # else it was whole already
                    partial.unlink()
                    return _resume(url, output, partial, most, timeout_s, progress)
                shutil.move(partial, output)
                return None
            answer.raise_for_status()
            if answer.status_code != requests.codes.partial_content:
                there = 0
            length = answer.headers.get("Content-Length")
            total = there + int(length) if length else None
            bar = tqdm(
                desc=PurePosixPath(url).name,
                total=total,
                initial=there,
                unit="B",
                unit_scale=True,
                disable=not progress,
            )
            with bar, open(partial, "ab" if there else "wb") as file:
                for block in answer.iter_content(BLOCK):
                    if file.tell() > most:
                        break  # whatever comes here, it is not the corpus
                    file.write(block)
                    bar.update(len(block))
    except (requests.RequestException, ValueError) as error:  # of headers that make no sense
        n_bytes = partial.stat().st_size if partial.is_file() else 0
        next = f"{n_bytes:,} bytes are kept; try again to go on from there" if n_bytes else "try again later"
        raise ConnectionError(f"{url}: {_why(error, timeout_s)}; {next}") from None
    shutil.move(partial, output)
    return None


def _why(error, timeout_s):
    """Say in words why a transfer failed."""
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"the server was silent for {timeout_s:g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the transfer broke off"
    if isinstance(error, requests.ConnectionError):
        return "the server cannot be reached"
    return f"the server's answer cannot be used ({settings.printable(error)})"


def unpack(archive, folder, *, progress=False):
    """Unpack a zip archive of recordings; nothing is written if anything in it could do harm.

    Parameters
    ----------
    archive, folder : path-like
        The folder is made. Of a damaged archive, what comes before the damage is left in it.
    progress : bool

    Raises
    ------
    ValueError
        If it is no zip archive, is damaged, or holds what does not belong into one of recordings: paths that lead out
        of the folder, links, pipes, devices, declarations of a corpus, a name twice, more than `MAX_MEMBERS` files or
        `MAX_BYTES` bytes, or anything that is packed otherwise than by DEFLATE.
    OSError
        If the disk is full, or takes nothing.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            _refuse_harm(members)
            for member in tqdm(members, desc="unpack", unit="file", disable=not progress):
                target = folder / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, open(target, "wb") as file:
                    shutil.copyfileobj(source, file, BLOCK)
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno not in MISLAID:
            raise
        raise ValueError(f"cannot be unpacked ({error}); expected a sound zip archive") from None


def _refuse_harm(members):
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if corpora.leads_out(member.filename):
            raise ValueError(f"would write to {member.filename!r}; expected paths inside its folder")
        if (kind := stat.S_IFMT(member.external_attr >> 16)) not in (0, stat.S_IFREG):  # programs of DOS say nothing
            what = "a link" if kind == stat.S_IFLNK else "a pipe, a device or the like"
            raise ValueError(f"holds {what}, {member.filename!r}; expected files only")
        if path.name in (corpora.OWN_PASSPORT, corpora.OWN_TABLE, synthetic.MARKER):  # these say what is to be expected
            raise ValueError(f"holds {member.filename!r}, which only you and serlib write; expected recordings")
        if member.compress_type not in settings.ZIP_METHODS:
            raise ValueError(f"packs {member.filename!r} by method {member.compress_type}; expected DEFLATE, or none")
    if twice := [name for name, n in Counter(member.filename for member in members).items() if n > 1]:
        raise ValueError(f"holds {twice[0]!r} twice; expected each recording once")
    n_bytes = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS or n_bytes > MAX_BYTES:
        raise ValueError(
            f"unpacks to {len(members):,} files of {n_bytes:,} bytes; expected at most {MAX_MEMBERS:,} files of"
            f" {MAX_BYTES:,} bytes"
        )


def _fetch_files(passport, folder, timeout_s, progress):
    """Download what is not there, or not as published, file by file; each appears whole or not at all."""
    manifest = passport.manifest().set_index("path")
    published, sizes = manifest["sha256"], manifest["bytes"]
    wanted = _wanted(passport, folder, published)
    failed = {}

    def get(path, place):
        if len(failed) >= MAX_FAILURES:
            return
        target, url = folder / wanted[path], passport.download["files"] + path
        try:
            arrived = pooch.retrieve(
                url,
                known_hash=f"sha256:{published[path]}",
                fname=target.name,
                path=place / path,  # a folder of its own
                downloader=lambda url, output, _: _get(url, output, sizes[path], timeout_s),
            )
            target.parent.mkdir(parents=True, exist_ok=True)
            Path(arrived).replace(target)
        except requests.RequestException as error:
            failed[path] = f"{url}: {_why(error, timeout_s)}"
        except ValueError:
            failed[path] = f"{url}: the server sent something else than was published"

    with settings.hidden(folder, is_folder=True) as place, ThreadPoolExecutor(N_CONNECTIONS) as pool:
        done = pool.map(get, wanted, itertools.repeat(place))
        for _ in tqdm(done, desc=passport.id, total=len(wanted), unit="file", disable=not progress):
            pass
    if failed:
        first = next(iter(failed.values()))
        stopped = " (stopped after so many)" if len(failed) >= MAX_FAILURES else ""
        raise ConnectionError(
            f"{passport.id}: {len(failed):,} of {len(wanted):,} files did not arrive{stopped}, such as {first}; the"
            " others are kept, try again to go on from there"
        )


def _get(url, output, n_bytes, timeout_s):
    """Download what has a known size; of what has more, no more is taken."""
    headers = {"Accept-Encoding": "identity"}
    with requests.get(url, headers=headers, stream=True, timeout=timeout_s) as answer, open(output, "wb") as file:
        answer.raise_for_status()
        for block in answer.iter_content(BLOCK):
            file.write(block)
            if file.tell() > n_bytes:
                break


def _wanted(passport, folder, published):
    """Return {published path: path in the folder} of the files to fetch."""
    if not folder.is_dir():
        return {path: path for path in published.index}
    path_of = {passport.parse(path).stem: path for path in published.index}
    report = doctor.examine(folder, passport)
    wanted = {finding.path: finding.path for finding in report.findings if finding.kind == "missing"}
    for finding in report.findings:
        parsed = passport.parse(finding.path)
        if finding.kind in SPOILT and parsed and parsed.stem in path_of:
            wanted[path_of[parsed.stem]] = finding.path
    return wanted
