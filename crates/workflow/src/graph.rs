//! Which step waits for which.

use std::collections::BTreeSet;

/// Steps by their index in the file, each with the indices of the steps it needs.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    needs: Vec<Vec<usize>>,
}

impl Graph {
    pub(crate) fn new(needs: Vec<Vec<usize>>) -> Self {
        debug_assert!(needs.iter().flatten().all(|need| *need < needs.len()));
        Self { needs }
    }

    /// Every step that must have ended before `step` starts.
    pub(crate) fn ancestors(&self, step: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = self.needs[step].clone();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(&self.needs[next]);
            }
        }
        found
    }

    /// The steps so that each comes after all it needs and otherwise as in the file (Kahn's algorithm). Steps on
    /// or behind a cycle are left out.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut waits: Vec<_> = self.needs.iter().map(|needs| needs.iter().collect::<BTreeSet<_>>().len()).collect();
        let mut ready: BTreeSet<_> = (0..waits.len()).filter(|step| waits[*step] == 0).collect();
        let mut order = Vec::with_capacity(waits.len());
        while let Some(step) = ready.pop_first() {
            order.push(step);
            for (other, needs) in self.needs.iter().enumerate() {
                if needs.contains(&step) {
                    waits[other] -= 1;
                    if waits[other] == 0 {
                        ready.insert(other);
                    }
                }
            }
        }
        order
    }

    /// One cycle for each group of steps that wait for each other: a path of steps in which each needs the next
    /// and the last needs the first. Steps that need themselves are not counted.
    pub(crate) fn cycles(&self) -> Vec<Vec<usize>> {
        let ancestors: Vec<_> = (0..self.needs.len()).map(|step| self.ancestors(step)).collect();
        let together = |a: usize, b: usize| a != b && ancestors[a].contains(&b) && ancestors[b].contains(&a);
        let mut reported = BTreeSet::new();
        let mut cycles = Vec::new();
        for step in 0..self.needs.len() {
            if reported.contains(&step) || !(0..self.needs.len()).any(|other| together(step, other)) {
                continue;
            }
            reported.extend((0..self.needs.len()).filter(|other| together(step, *other)));
            cycles.push(self.shortest_cycle(step));
        }
        cycles
    }

    /// Breadth first from `start` back to `start`, which must lie on a cycle.
    fn shortest_cycle(&self, start: usize) -> Vec<usize> {
        let mut came_from = vec![None; self.needs.len()];
        let mut layer = vec![start];
        while !layer.is_empty() {
            let mut next_layer = Vec::new();
            for step in layer {
                for need in self.needs[step].iter().copied().filter(|need| *need != step) {
                    if need == start {
                        let mut path: Vec<_> = std::iter::successors(Some(step), |step| came_from[*step]).collect();
                        path.reverse();
                        return path;
                    }
                    if came_from[need].is_none() {
                        came_from[need] = Some(step);
                        next_layer.push(need);
                    }
                }
            }
            layer = next_layer;
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_after_what_they_need_and_else_in_file_order() {
        let graph = Graph::new(vec![vec![2], vec![], vec![1], vec![0, 1, 1]]);
        assert_eq!(graph.order(), [1, 2, 0, 3]);
        assert_eq!(graph.ancestors(3), BTreeSet::from([0, 1, 2]));
        assert!(graph.cycles().is_empty());
    }

    #[test]
    fn each_group_of_waiting_steps_is_one_cycle() {
        let graph = Graph::new(vec![vec![1], vec![2], vec![0, 1], vec![2], vec![5], vec![4], vec![6]]);
        assert_eq!(graph.cycles(), [vec![0, 1, 2], vec![4, 5]]);
        assert!(graph.order().is_empty());
    }
}
