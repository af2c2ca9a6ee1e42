"""The errors that autoft raises on purpose.

    AutoftError            exit code 1
    ├── InputError         exit code 2: something the user gave is wrong; nothing was started
    │   ├── SpecError      the search spec or a command-line option
    │   ├── DataError      the user's table
    │   ├── ModelError     a pretrained model that can't be used
    │   └── ResourceError  cores, memory or disk that are not there
    ├── SearchError        the search ran and could not give a winner
    ├── TrackingError      MLflow could not be reached or refused
    └── Interrupted        exit code 130: stopped by the user, everything kept

Every error takes plain positional strings, so it survives pickling between processes.
"""


class AutoftError(Exception):
    """Root of the tree; `str()` of it is the line that a person reads."""

    exit_code = 1


class InputError(AutoftError):
    """One or more problems in what the user gave, each a line that says what, where and what next."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems, one line each."""
        return tuple(str(problem) for problem in self.args)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class SpecError(InputError):
    """The search spec or a command-line option is wrong."""


class DataError(InputError):
    """The user's data can't be used as they are."""


class ModelError(InputError):
    """A pretrained model can't be found or is not safe to load."""


class ResourceError(InputError):
    """The machine or the cluster lacks what the search asks for."""


class SearchError(AutoftError):
    """The search ran, and there is no winner to hand over."""


class TrackingError(AutoftError):
    """MLflow could not be reached or refused."""


class Interrupted(AutoftError):  # noqa: N818 - a stop on request is no error of the program
    """The user stopped the search; it can go on from where it stands."""

    exit_code = 130
