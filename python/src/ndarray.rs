//! NumPy arrays: which parts of the memory behind an array an expression touches.
//!
//! Model: an array shows elements of a buffer: its own, or that of the array that it is a view of, which is then the
//! object whose parts are touched. The buffer is divided into cells, each an element of its owner, or several of them
//! where there are many; an access touches the cells in which its elements lie. All cells together are the whole.
//!
//! Invariant: no Python code runs. The layout comes from NumPy's own side of the buffer protocol, the owner from the
//! first fields of an array, which NumPy 1 and 2 have in common. What has no simple layout is touched as a whole.
//!
//! Not here: what is done to an array (operators, calls); the interface to NumPy's C functions, which is not needed.

use crate::names;
use frontrun_formats::{Location, Part};
use pyo3::ffi;
use std::ffi::{CStr, c_int};

/// A buffer has no more cells than this: each is a location that the analysis has to look at.
const MOST_CELLS: usize = 256;

/// Of more elements only the first and the last address are looked at.
const MOST_ELEMENTS: isize = 4096;

/// Elements at equal distances, in each dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layout {
    /// The address of the first element.
    start: isize,
    /// The size of an element.
    size: isize,
    /// Number of elements, and the distance from one to the next.
    dimensions: Vec<(isize, isize)>,
}

/// Whether an object is an array.
///
/// # Safety
/// `object` is live.
pub unsafe fn is_array(object: *mut ffi::PyObject) -> bool {
    // SAFETY: as the caller promises.
    unsafe { !array_class(ffi::Py_TYPE(object)).is_null() }
}

/// What reading or writing all of an array touches.
///
/// # Safety
/// `array` is a live array, whose memory belongs to `owner`; the caller holds the turn and the lock.
pub unsafe fn all(array: *mut ffi::PyObject, owner: *mut ffi::PyObject) -> Vec<Location> {
    // SAFETY: as the caller promises.
    unsafe { touched(owner, layout(array)) }
}

/// What reading `array[key]` touches: nothing where the result is a view.
///
/// # Safety
/// As for [`all`]; `key` is live.
pub unsafe fn read(
    array: *mut ffi::PyObject,
    owner: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
) -> Vec<Location> {
    // SAFETY: as the caller promises.
    unsafe {
        if ffi::PyUnicode_Check(key) != 0 {
            // A field of all elements.
            return Vec::new();
        }
        match layout(array).and_then(|layout| layout.select(key)) {
            Some(selected) if !selected.dimensions.is_empty() => Vec::new(),
            Some(selected) => touched(owner, Some(selected)),
            None => all(array, owner),
        }
    }
}

/// What writing `array[key]` touches.
///
/// # Safety
/// As for [`read`].
pub unsafe fn write(
    array: *mut ffi::PyObject,
    owner: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
) -> Vec<Location> {
    // SAFETY: as the caller promises.
    unsafe {
        let layout = layout(array);
        let selected = layout.as_ref().and_then(|layout| layout.select(key));
        touched(owner, selected.or(layout))
    }
}

/// The object that an array got its memory from: one that is no array, or the array itself if the memory is its own.
///
/// # Safety
/// `array` is a live array.
pub unsafe fn base(array: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: `PyArrayObject`: header, data, number of dimensions, dimensions, strides, then the base, which is null for
    // an array that owns its memory.
    unsafe {
        let mut object = array;
        while is_array(object) {
            let base = object.cast::<u8>().add(48).cast::<*mut ffi::PyObject>().read();
            if base.is_null() {
                return object;
            }
            object = base;
        }
        object
    }
}

/// How many of the arguments of a universal function are read; it writes those that come after them. `None` if the
/// object is none.
///
/// # Safety
/// `callable` is live.
pub unsafe fn inputs(callable: *mut ffi::PyObject) -> Option<usize> {
    // SAFETY: `PyUFuncObject`: header, then the number of inputs.
    unsafe {
        let is_ufunc = CStr::from_ptr((*ffi::Py_TYPE(callable)).tp_name).to_bytes() == b"numpy.ufunc";
        is_ufunc.then(|| callable.cast::<u8>().add(16).cast::<c_int>().read().max(0) as usize)
    }
}

/// The class of arrays, if `class` is that or comes from it; else null.
unsafe fn array_class(class: *mut ffi::PyTypeObject) -> *mut ffi::PyTypeObject {
    // SAFETY: live types, whose names live as long.
    unsafe {
        if (*class).tp_as_buffer.is_null() || (*(*class).tp_as_buffer).bf_getbuffer.is_none() {
            return std::ptr::null_mut();
        }
        let mut candidate = class;
        while !candidate.is_null() && CStr::from_ptr((*candidate).tp_name).to_bytes() != b"numpy.ndarray" {
            candidate = (*candidate).tp_base;
        }
        candidate
    }
}

/// The layout of an array; `None` where asking for it could run Python code, or NumPy does not tell it.
unsafe fn layout(array: *mut ffi::PyObject) -> Option<Layout> {
    // SAFETY: NumPy fills the view in, and what it points to lives until the release.
    unsafe {
        let class = ffi::Py_TYPE(array);
        let getter = |class: *mut ffi::PyTypeObject| {
            (*(*class).tp_as_buffer).bf_getbuffer.map(|function| function as usize)
        };
        if getter(class) != getter(array_class(class)) {
            return None;
        }
        let mut view = std::mem::zeroed::<ffi::Py_buffer>();
        if ffi::PyObject_GetBuffer(array, &raw mut view, ffi::PyBUF_STRIDES) != 0 {
            ffi::PyErr_Clear();
            return None;
        }
        let dimensions =
            (0..view.ndim as usize).map(|at| (view.shape.add(at).read(), view.strides.add(at).read()));
        let layout =
            Layout { start: view.buf as isize, size: view.itemsize, dimensions: dimensions.collect() };
        ffi::PyBuffer_Release(&raw mut view);
        (layout.size > 0).then_some(layout)
    }
}

/// The cells of the owner's buffer in which elements lie.
unsafe fn touched(owner: *mut ffi::PyObject, elements: Option<Layout>) -> Vec<Location> {
    // SAFETY: as for `all`.
    unsafe {
        let object = names::number(owner);
        let whole = vec![Location::new(object, Part::Whole)];
        let buffer = if is_array(owner) { layout(owner) } else { None };
        let (Some(buffer), Some(elements)) = (buffer, elements) else { return whole };
        let Some(cells) = elements.cells(&buffer) else { return whole };
        cells.into_iter().map(|cell| Location::new(object, Part::Index(cell))).collect()
    }
}

impl Layout {
    fn count(&self) -> isize {
        self.dimensions.iter().map(|(count, _)| count).product()
    }

    /// The lowest address, and the first one after all elements.
    fn extent(&self) -> (isize, isize) {
        let reach = self.dimensions.iter().map(|(count, stride)| (count - 1) * stride);
        let (back, ahead) = reach.fold((0, 0), |(back, ahead), far| (back + far.min(0), ahead + far.max(0)));
        (self.start + back, self.start + ahead + self.size)
    }

    /// The cells of `buffer` in which these elements lie; `None` if that is all of them, or they lie elsewhere.
    fn cells(&self, buffer: &Layout) -> Option<Vec<u32>> {
        if self.count() == 0 {
            return Some(Vec::new());
        }
        if buffer.count() == 0 {
            return None;
        }
        let (first, end) = buffer.extent();
        let (low, high) = self.extent();
        if low < first || high > end {
            return None;
        }
        let n_elements = ((end - first) / buffer.size) as usize;
        let size = elements_of_a_cell(n_elements) as isize * buffer.size;
        let mut touched = vec![false; (end - first + size - 1).div_euclid(size) as usize];
        let mut mark = |from: isize, to: isize| {
            touched[((from - first) / size) as usize..=((to - 1 - first) / size) as usize].fill(true);
        };
        if self.count() > MOST_ELEMENTS {
            mark(low, high);
        } else {
            self.addresses().into_iter().for_each(|address| mark(address, address + self.size));
        }
        if touched.iter().all(|touched| *touched) {
            return None;
        }
        Some((0..).zip(touched).filter_map(|(cell, touched)| touched.then_some(cell)).collect())
    }

    fn addresses(&self) -> Vec<isize> {
        let further = |addresses: Vec<isize>, &(count, stride): &(isize, isize)| {
            addresses.iter().flat_map(|address| (0..count).map(move |nth| address + nth * stride)).collect()
        };
        self.dimensions.iter().fold(vec![self.start], further)
    }

    /// The elements that a key of ints and slices selects.
    unsafe fn select(&self, key: *mut ffi::PyObject) -> Option<Layout> {
        // SAFETY: the key is live, and so are its parts.
        unsafe {
            let keys: Vec<_> = if ffi::PyTuple_CheckExact(key) != 0 {
                (0..ffi::PyTuple_Size(key)).map(|at| ffi::PyTuple_GetItem(key, at)).collect()
            } else {
                vec![key]
            };
            if keys.len() > self.dimensions.len() {
                return None;
            }
            let mut selected = Layout { dimensions: Vec::new(), ..*self };
            for (key, &(count, stride)) in keys.iter().zip(&self.dimensions) {
                if ffi::PyLong_CheckExact(*key) != 0 {
                    let mut overflow = 0;
                    let index = ffi::PyLong_AsLongLongAndOverflow(*key, &raw mut overflow) as isize;
                    let index = if index < 0 { index + count } else { index };
                    if overflow != 0 || !(0..count).contains(&index) {
                        return None;
                    }
                    selected.start += index * stride;
                } else {
                    let (start, step, length) = slice(*key, count)?;
                    selected.start += start * stride;
                    selected.dimensions.push((length, step * stride));
                }
            }
            selected.dimensions.extend(&self.dimensions[keys.len()..]);
            Some(selected)
        }
    }
}

/// How many elements a cell has. One that divides their number lets halves, thirds and quarters end with a cell.
fn elements_of_a_cell(n_elements: usize) -> usize {
    let fewest = n_elements.div_ceil(MOST_CELLS);
    (fewest..=2 * fewest).find(|size| n_elements.is_multiple_of(*size)).unwrap_or(fewest)
}

/// First index, step and length of a slice of `count` elements, if it consists of ints.
unsafe fn slice(key: *mut ffi::PyObject, count: isize) -> Option<(isize, isize, isize)> {
    // SAFETY: a live object; the bounds of a slice are live.
    unsafe {
        if ffi::Py_TYPE(key) != &raw mut ffi::PySlice_Type {
            return None;
        }
        let bounds = &*key.cast::<ffi::PySliceObject>();
        let is_simple =
            |bound: *mut ffi::PyObject| bound == ffi::Py_None() || ffi::PyLong_CheckExact(bound) != 0;
        if ![bounds.start, bounds.stop, bounds.step].into_iter().all(is_simple) {
            return None;
        }
        let (mut start, mut stop, mut step) = (0, 0, 0);
        if ffi::PySlice_Unpack(key, &raw mut start, &raw mut stop, &raw mut step) != 0 {
            ffi::PyErr_Clear();
            return None;
        }
        let length = ffi::PySlice_AdjustIndices(count, &raw mut start, &raw mut stop, step);
        Some((start, step, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(start: isize, count: isize, stride: isize) -> Layout {
        Layout { start, size: 8, dimensions: vec![(count, stride)] }
    }

    #[test]
    fn elements_lie_in_their_own_cells() {
        let buffer = row(800, 10, 8);
        assert_eq!(row(800, 3, 8).cells(&buffer), Some(vec![0, 1, 2]));
        assert_eq!(row(872, 5, -16).cells(&buffer), Some(vec![1, 3, 5, 7, 9]));
        assert_eq!(row(800, 0, 8).cells(&buffer), Some(vec![]));
        assert_eq!(buffer.cells(&buffer), None);
        assert_eq!(row(792, 3, 8).cells(&buffer), None);
    }

    #[test]
    fn columns_of_a_matrix_are_apart() {
        let matrix = Layout { start: 0, size: 8, dimensions: vec![(3, 16), (2, 8)] };
        assert_eq!(row(0, 3, 16).cells(&matrix), Some(vec![0, 2, 4]));
        assert_eq!(row(8, 3, 16).cells(&matrix), Some(vec![1, 3, 5]));
    }

    #[test]
    fn large_buffers_have_larger_cells() {
        let buffer = row(0, 1_000_000, 8);
        let (left, right) = (row(0, 500_000, 8), row(4_000_000, 500_000, 8));
        let (left, right) = (left.cells(&buffer), right.cells(&buffer));
        let (left, right) = (left.unwrap(), right.unwrap());
        assert!(left.len() <= MOST_CELLS);
        assert_eq!((left.last(), right.first()), (Some(&124), Some(&125)));
    }
}
