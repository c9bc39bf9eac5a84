"""Capsules of DLPack around the functions of dlpack.cpp, without Python's headers."""
import ctypes
import sys

lib = ctypes.CDLL(sys.argv[1])
lib.ebb_make.restype = ctypes.c_void_p
lib.ebb_make.argtypes = [ctypes.c_int, ctypes.c_bool, ctypes.c_bool, ctypes.POINTER(ctypes.c_void_p)]
lib.ebb_delete.argtypes = [ctypes.c_void_p, ctypes.c_bool]
lib.ebb_take.restype = ctypes.c_char_p
lib.ebb_take.argtypes = [ctypes.c_void_p, ctypes.c_bool]
lib.ebb_describe.restype = ctypes.c_char_p
lib.ebb_data.restype = ctypes.c_void_p
lib.ebb_set_first.argtypes = [ctypes.c_double]

api = ctypes.pythonapi
api.PyCapsule_New.restype = ctypes.py_object
api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
api.PyCapsule_GetName.restype = ctypes.c_char_p
api.PyCapsule_GetName.argtypes = [ctypes.py_object]
api.PyCapsule_GetPointer.restype = ctypes.c_void_p
api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
api.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]

DTYPES = ["float32", "float64", "int64", "uint8", "bool"]  # in the order of ebb::DType
NAMES = {False: b"dltensor", True: b"dltensor_versioned"}
_kept = []  # names must outlive their capsules


class Made:
    """A tensor of Ebb with the protocol that consumers call."""

    def __init__(self, dtype, transposed, versioned):
        self.data = ctypes.c_void_p()
        self.versioned = versioned
        self.pointer = lib.ebb_make(DTYPES.index(dtype), transposed, versioned, ctypes.byref(self.data))

    def __dlpack__(self, **_):
        return api.PyCapsule_New(self.pointer, NAMES[self.versioned], None)

    def __dlpack_device__(self):
        return (1, 0)


def take(capsule):
    """Gives a capsule to Ebb. Returns the message of an Error, or None."""
    name = api.PyCapsule_GetName(capsule)
    versioned = name == NAMES[True]
    pointer = api.PyCapsule_GetPointer(capsule, name)
    used = ctypes.create_string_buffer(b"used_" + name)
    _kept.append(used)
    api.PyCapsule_SetName(capsule, ctypes.cast(used, ctypes.c_char_p))
    return lib.ebb_take(pointer, versioned)
