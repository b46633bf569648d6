"""Plain files in a folder: temporary file, fsync, link, fsync of the folder."""

from __future__ import annotations

import errno
import os
import re
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from runner.backends.base import Entry, Storage
from runner.backends.local.confinement import inside, plain_file, warn_of_writers
from runner.backends.pieces import CHUNK, Writer
from runner.errors import AlreadyExists, BucketMissing, Denied, NotFound, ReadFailed, RunnerError, WriteFailed
from runner.location import check_prefix, file_url
from runner.schemes import LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.secrets.named import Credentials

_TEMPORARY = ".tmp-"  # left out of listings, and unlike any key of runner's
_TEMPORARY_NAME = r"\.tmp-[0-9a-f]{16}"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}  # what file systems without hard links answer
# What systems without unnamed files answer, or such as don't show this process's own in /proc.
_NO_UNNAMED = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.EXDEV, *_NO_LINKS}
_HINTS = {
    errno.EROFS: "Mount it so that it can be written, or choose another folder: RUNNER_RESULTS.",
    errno.ENAMETOOLONG: "Choose shorter names.",
}
_WORKING_FOLDER, _NO_REPLACE = -100, 1  # AT_FDCWD, RENAME_NOREPLACE
_TRANSIENT = {errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.ESTALE, errno.ETIMEDOUT}


def open_local(
    folder: str, _credentials: Credentials, _environ: Mapping[str, str], _patience: float | None = None
) -> LocalStorage:
    """Open a folder, which needs no credentials, and whose file system is waited for as long as it takes."""
    return LocalStorage(folder)


class LocalStorage(Storage):
    """See `Storage`. The container is the folder's absolute path."""

    def __init__(self, folder: str) -> None:
        super().__init__(LOCAL.scheme, folder)

    def warn_of_writers(self) -> None:
        """See `Storage.warn_of_writers`."""
        warn_of_writers(self.container)

    def url(self, key: str) -> str:
        """See `Storage.url`."""
        return file_url(self.container, key)

    def _path(self, key: str) -> str:
        return os.path.join(self.container, *filter(None, key.split("/")))

    def _inside(self, key: str) -> str:
        """Return a key's path to open, which links must not lead out of the root. Raises Denied."""
        return inside(self.container, self._path(key))

    def _stream(self, key: str, offset: int, length: int | None, limit: int | None = None) -> Iterator[bytes]:
        try:
            with open(plain_file(self._inside(key)), "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                self.check_size(key, size, limit)
                file.seek(offset)
                left = size if length is None else length
                while left > 0 and (chunk := file.read(min(left, CHUNK))):
                    left -= len(chunk)
                    yield chunk
        except OSError as error:
            raise self._read_error(key, error) from error

    def _read_changed(self, key: str, tag: str, limit: int) -> tuple[bytes, str] | None:
        try:
            found = os.stat(plain_file(self._inside(key)))
        except OSError as error:
            raise self._read_error(key, error) from error
        now = f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"
        return None if now == tag else (self._read(key, limit), now)

    def _read_error(self, key: str, error: OSError) -> RunnerError:
        path = self._path(key)
        if (
            isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
            or error.errno == errno.ENAMETOOLONG
        ):
            if not os.path.isdir(self.container):
                return BucketMissing(f"there is no folder {self.container}", hint="Check the path, or mount it.")
            return NotFound(f"there is no file {path}")
        if isinstance(error, PermissionError):
            return Denied(f"not allowed to read {path}", hint=f"Give {_user()} the right to read it.")
        return ReadFailed(f"reading {path} failed: {error.strerror}", transient=_may_pass(error))

    def refuses_create(self, _key: str, _data: bytes) -> bool:
        """See `Storage.refuses_create`; link and O_EXCL are the kernel's, and need no proof."""
        return True

    def _create(self, key: str, data: bytes) -> None:
        with self._errors(key):
            target = self._inside(key)
            _make_folder(target)
            if not _create_unnamed(target, data):
                self._create_named(key, data)

    def _create_named(self, key: str, data: bytes) -> None:
        with self._temporary(key) as (temporary, target):
            with open(temporary, "xb", buffering=0) as file:
                _write(file.fileno(), data)
                os.fsync(file.fileno())
            try:
                os.link(temporary, target)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                if not _rename_to_new(temporary, target):
                    _create_exclusively(target, data)
            _sync(os.path.dirname(target))

    def _replace(self, key: str, data: bytes, media_type: str = "") -> None:  # noqa: ARG002 - a file has none
        with self._writer(key) as writer:
            writer.write(data)

    @contextmanager
    def _writer(self, key: str) -> Iterator[Writer]:
        def put(part: memoryview) -> None:
            with self._errors(key):
                _write(file.fileno(), part)

        # what the block itself raises is none of ours: it passes, and only the temporary file goes
        with ExitStack() as stack:
            with self._errors(key):
                temporary, target = stack.enter_context(self._temporary(key))
                file = stack.enter_context(open(temporary, "xb", buffering=0))
            yield Writer(put)
            with self._errors(key):
                os.fsync(file.fileno())
                file.close()
                os.replace(temporary, target)
                _sync(os.path.dirname(target))

    def _delete(self, key: str) -> None:
        path = self._inside(key)
        try:
            os.unlink(path)
        except PermissionError as error:
            raise Denied(f"not allowed to delete {path}", hint=f"Give {_user()} the right to write there.") from error
        except OSError as error:
            refusal = self._read_error(key, error)
            if isinstance(refusal, ReadFailed):
                message = f"deleting {path} failed: {error.strerror}"
                raise WriteFailed(message, transient=_may_pass(error)) from error
            if isinstance(refusal, BucketMissing):
                raise refusal from error

    @contextmanager
    def _temporary(self, key: str) -> Iterator[tuple[str, str]]:
        """Yield a temporary path beside the target, which is gone when the block ends, and the target."""
        target = self._inside(key)
        temporary = os.path.join(os.path.dirname(target), f"{_TEMPORARY}{os.urandom(8).hex()}")
        _make_folder(target)
        try:
            yield temporary, target
        finally:
            with suppress(OSError):
                os.unlink(temporary)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Raise our errors for what the system answers to a write."""
        target = self._path(key)
        try:
            yield
        except FileExistsError as error:
            raise AlreadyExists(f"{target} exists already", hint="Choose another key.") from error
        except PermissionError as error:
            message = f"not allowed to write {target}"
            raise Denied(message, hint=f"Give {_user()} the right to write there.") from error
        except OSError as error:
            message = f"writing {target} failed: {error.strerror}"
            hint = _HINTS.get(error.errno or 0, "Make room, or choose another folder.")
            raise WriteFailed(message, hint=hint, transient=_may_pass(error)) from error

    def _list_recursive(self, prefix: str) -> Iterator[Entry]:
        folders, entries = self._list_folder(prefix)
        yield from entries
        for name in folders:
            if not os.path.islink(self._path(f"{prefix}{name}")):  # what it leads to is walked where it lies
                yield from self._list_recursive(f"{prefix}{name}/")

    def _list_folder(self, prefix: str) -> tuple[list[str], list[Entry]]:
        """See `Storage.list_folder`. A folder that is not there is empty, as it is in a bucket."""
        folders, entries = [], []
        try:
            with os.scandir(self._inside(prefix)) as found:
                for item in found:
                    if item.name.startswith(_TEMPORARY) or not self._belongs(item):
                        continue
                    if item.is_dir():
                        folders.append(item.name)
                        continue
                    with suppress(FileNotFoundError):  # gone since, or a link to nowhere
                        found_out = item.stat()
                        entries.append(Entry(prefix + item.name, found_out.st_size, found_out.st_mtime))
        except OSError as error:
            refusal = self._read_error(prefix, error)
            if not isinstance(refusal, NotFound) or isinstance(refusal, BucketMissing):
                raise refusal from error
        return sorted(folders), sorted(entries, key=lambda entry: entry.key)

    def _belongs(self, item: os.DirEntry[str]) -> bool:
        """Return whether an entry is a file or folder of this storage: no pipe, and no link that leads out."""
        if not item.is_symlink():
            return item.is_file() or item.is_dir()
        try:
            inside(self.container, item.path)
        except Denied:
            return False
        return True

    def sweep(self, prefix: str) -> None:
        """See `Storage.sweep`; folders in which nothing lies then go as well."""
        super().sweep(prefix)
        for folder, _, _ in os.walk(self._inside(prefix), topdown=False):
            with suppress(OSError):
                os.rmdir(folder)

    def left_over(self, prefix: str) -> list[Entry]:
        """See `Storage.left_over`."""
        check_prefix(prefix)
        found = []
        for folder, _, names in os.walk(self._inside(prefix)):
            for name in names:
                if re.fullmatch(_TEMPORARY_NAME, name):
                    path = os.path.join(folder, name)
                    with suppress(OSError):
                        told = os.lstat(path)
                        key = f"{prefix}{os.path.relpath(path, self._path(prefix))}".replace(os.sep, "/")
                        found.append(Entry(key, told.st_size, told.st_mtime))
        return found


def _may_pass(error: OSError) -> bool:
    """Return whether a failure may pass: a file system over a network may come back, a disk that is full stays so."""
    return error.errno in _TRANSIENT


def _user() -> str:
    return f"user {os.geteuid()}" if hasattr(os, "geteuid") else "yourself"  # Windows has no numbers of users


def _make_folder(target: str) -> None:
    """Create the folders above a file, and sync them to disk."""
    made = [folder for folder in _folders_above(target) if not os.path.exists(folder)]
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    except FileExistsError as error:  # a file lies where the folder should: it is not the key that is taken
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error
    for folder in made:
        _sync(os.path.dirname(folder))


def _folders_above(path: str) -> Iterator[str]:
    while (folder := os.path.dirname(path)) != path:
        yield folder
        path = folder


def _create_unnamed(target: str, data: bytes) -> bool:
    """Create from a file that has no name before it is whole, so that a killed process leaves nothing behind.

    Returns False where the system or the file system has no such files. https://man7.org/linux/man-pages/man2/open.2.html
    """
    if not hasattr(os, "O_TMPFILE"):
        return False
    with ExitStack() as stack:
        try:
            folder = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, folder)
            descriptor = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=folder)
            stack.callback(os.close, descriptor)
        except OSError as error:
            if error.errno in _NO_UNNAMED | {errno.EACCES}:  # a folder may be written and not read
                return False
            raise
        _write(descriptor, data)
        os.fsync(descriptor)
        try:
            # without a folder's descriptor Python would link the link, not what it leads to
            os.link(f"/proc/self/fd/{descriptor}", os.path.basename(target), dst_dir_fd=folder, follow_symlinks=True)
        except OSError as error:
            if error.errno in _NO_UNNAMED:
                return False
            raise
        with suppress(OSError):
            os.fsync(folder)
    return True


def _rename_to_new(temporary: str, target: str) -> bool:
    """Rename a file unless the name is taken, as SMB and FAT can, which have no links.

    Returns False where the system or the file system cannot. https://man7.org/linux/man-pages/man2/rename.2.html
    """
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if hasattr(os, "O_TMPFILE") else None
    if rename is None:
        return False
    if rename(_WORKING_FOLDER, os.fsencode(temporary), _WORKING_FOLDER, os.fsencode(target), _NO_REPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_UNNAMED:
        return False
    raise OSError(number, os.strerror(number), target)


def _create_exclusively(target: str, data: bytes) -> None:
    """Create where there is neither: still one winner, but a reader may see the file grow."""
    with open(target, "xb", buffering=0) as file:
        try:
            _write(file.fileno(), data)
            os.fsync(file.fileno())
        except OSError:
            os.unlink(target)
            raise


def _write(descriptor: int, data: memoryview | bytes) -> None:
    """Write all of it: a raw write stops at 2 GB, or short of a full disk."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync(folder: str) -> None:
    """Sync a folder's new entry to disk; where a folder cannot be opened or synced (Windows), the system does it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
