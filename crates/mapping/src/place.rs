/// A place in the text of an expression or template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Byte offset.
    pub position: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// The place at byte `position`, which is moved back to the start of its character, and to the end of a shorter text.
    pub fn of(text: &str, position: usize) -> Self {
        let mut position = position.min(text.len());
        while !text.is_char_boundary(position) {
            position -= 1;
        }
        let before = &text[..position];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { position, line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        assert_eq!(Place::of("é\n𝄞x", 7), Place { position: 7, line: 2, column: 2 });
        assert_eq!(Place::of("é", 1).position, 0);
        assert_eq!(Place::of("ab", 9), Place { position: 2, line: 1, column: 3 });
    }
}
