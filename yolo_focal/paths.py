"""Whether a file or folder is there, also for names that no file system can hold: too long, or with a null byte.

`Path.exists`, `is_file` and `is_dir` raise over such a name until Python 3.14; these functions say False.
"""

from os.path import exists
from os.path import isdir as is_folder
from os.path import isfile as is_file

__all__ = ["exists", "is_file", "is_folder"]
