//! What the allocators are told before the first thread is there: what was used once and is free is to go back.

/// Has freed memory returned to the system soon, at a cost that nothing has been seen of.
pub(crate) fn return_what_is_free() {
    // Every thread has a heap of its own: in pages of 2 MiB most of it would be air. A kernel without them is as good.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    tell_the_c_library();
}

/// The Kafka client has dozens of threads, and buffers of up to a megabyte that come and go. By default they would be
/// spread over eight heaps for each processor, of which hardly anything is ever given back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "there is no other way to tell it")]
fn tell_the_c_library() {
    const LARGE: libc::c_int = 128 << 10;
    for (what, value) in [(libc::M_ARENA_MAX, 2), (libc::M_MMAP_THRESHOLD, LARGE), (libc::M_TRIM_THRESHOLD, LARGE)] {
        // SAFETY: it takes two numbers, and no other thread is running yet. What it does not know it refuses.
        unsafe { libc::mallopt(what, value) };
    }
}
