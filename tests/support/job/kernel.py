"""`python kernel.py UID SYSCALLS COMMAND…`: run a command as another user on a lesser kernel.

The system calls, numbers separated by commas, answer EPERM, as in containers that forbid them.
"""

import ctypes
import os
import struct
import sys

LANDLOCK, UNSHARE = 444, {"x86_64": 272, "aarch64": 97}[os.uname().machine]
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # of classic BPF, with which seccomp(2) filters
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001


def _filter(numbers: list[int]) -> bytes:
    steps = [struct.pack("HBBI", _LOAD, 0, 0, 0)]
    for number in numbers:
        steps.append(struct.pack("HBBI", _EQUAL, 0, 1, number))
        steps.append(struct.pack("HBBI", _RETURN, 0, 0, _EPERM))
    return b"".join([*steps, struct.pack("HBBI", _RETURN, 0, 0, _ALLOW)])


def main(user: int, numbers: list[int], command: list[str]) -> None:
    """Become the command."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    program = _filter(numbers)
    held = ctypes.create_string_buffer(program)
    whole = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SECCOMP, _FILTER, whole, 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "prctl")
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(each) for each in sys.argv[2].split(",") if each], sys.argv[3:])
