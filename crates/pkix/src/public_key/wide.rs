//! Just enough arithmetic on wide unsigned integers to look for weak RSA moduli. Not constant time: only public values
//! come here.

use std::cmp::Ordering;

/// Little-endian limbs without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wide(Vec<u64>);

impl Wide {
    pub(super) fn from_be_bytes(bytes: &[u8]) -> Self {
        let limbs = bytes.rchunks(8).map(|chunk| chunk.iter().fold(0, |sum, octet| (sum << 8) | u64::from(*octet)));
        Self(limbs.collect()).trimmed()
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    pub(super) fn modulo(&self, divisor: u32) -> u32 {
        let divisor = u64::from(divisor);
        let rest = self.0.iter().rev().fold(0u64, |rest, limb| {
            let high = ((rest << 32) | (limb >> 32)) % divisor;
            ((high << 32) | (limb & 0xffff_ffff)) % divisor
        });
        rest as u32
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        let mut carry = false;
        let addends = other.0.iter().copied().chain(std::iter::repeat(0));
        for (limb, addend) in self.0.iter_mut().zip(addends) {
            let (sum, first) = limb.overflowing_add(addend);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = first | second;
        }
        if carry {
            self.0.push(1);
        }
    }

    /// `other` must not be greater.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        let subtrahends = other.0.iter().copied().chain(std::iter::repeat(0));
        for (limb, subtrahend) in self.0.iter_mut().zip(subtrahends) {
            let (rest, first) = limb.overflowing_sub(subtrahend);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            *limb = rest;
            borrow = first | second;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// `2 * self + 1`
    fn double_plus_one(&self) -> Self {
        let mut carry = 1;
        let mut limbs: Vec<u64> = self
            .0
            .iter()
            .map(|limb| {
                let doubled = (limb << 1) | carry;
                carry = limb >> 63;
                doubled
            })
            .collect();
        if carry > 0 {
            limbs.push(carry);
        }
        Self(limbs).trimmed()
    }

    fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 64 - top.leading_zeros() as usize)
    }

    fn bit_pair(&self, index: usize) -> u64 {
        (self.0.get(index / 32).copied().unwrap_or(0) >> (2 * (index % 32))) & 3
    }

    /// The integer square root and what remains, digit by digit in base two.
    fn square_root(&self) -> (Self, Self) {
        let mut root = Self(Vec::new());
        let mut rest = Self(Vec::new());
        for index in (0..self.bits().div_ceil(2)).rev() {
            rest.shift_in(2, self.bit_pair(index));
            // The trial is 4 * root + 1; when it fits, the next digit of the root is one.
            let mut trial = root.clone();
            trial.shift_in(2, 1);
            let fits = rest.compare(&trial) != Ordering::Less;
            if fits {
                rest.subtract(&trial);
            }
            root.shift_in(1, u64::from(fits));
        }
        (root, rest)
    }

    /// `self << by | low`, for `by` below 64.
    fn shift_in(&mut self, by: u32, low: u64) {
        let mut carry = low;
        for limb in &mut self.0 {
            let next = *limb >> (64 - by);
            *limb = (*limb << by) | carry;
            carry = next;
        }
        if carry > 0 {
            self.0.push(carry);
        }
    }

    fn is_square(&self) -> bool {
        // A square is 0, 1, 4 or 9 modulo 16, and has few residues modulo small primes: nearly all others stop here.
        let low = self.0.first().copied().unwrap_or(0) & 15;
        if !matches!(low, 0 | 1 | 4 | 9) {
            return false;
        }
        const PRIMES: [u32; 6] = [3, 5, 7, 11, 13, 17];
        const PRODUCT: u32 = 3 * 5 * 7 * 11 * 13 * 17;
        let rest = self.modulo(PRODUCT);
        let passes = PRIMES.iter().all(|prime| (0..*prime).any(|root| root * root % prime == rest % prime));
        passes && self.square_root().1.0.is_empty()
    }

    /// Fermat's method: whether two factors lie so close together that `rounds` steps find them.
    pub(super) fn has_close_factors(&self, rounds: usize) -> bool {
        let (mut a, rest) = self.square_root();
        if rest.0.is_empty() {
            return true;
        }
        // The first a is the root rounded up, and the difference a² - n starts as 2 * root + 1 - rest.
        let mut difference = a.double_plus_one();
        difference.subtract(&rest);
        a.add(&Self(vec![1]));
        for _ in 0..rounds {
            if difference.is_square() {
                return true;
            }
            difference.add(&a.double_plus_one());
            a.add(&Self(vec![1]));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wide(value: u128) -> Wide {
        Wide::from_be_bytes(&value.to_be_bytes())
    }

    proptest! {
        #[test]
        fn wide_arithmetic_agrees_with_the_machine(value: u128, divisor in 1u32.., addend: u64) {
            prop_assert_eq!(u128::from(wide(value).modulo(divisor)), value % u128::from(divisor));
            let root = value.isqrt();
            prop_assert_eq!(wide(value).square_root(), (wide(root), wide(value - root * root)));
            let mut sum = wide(value >> 1);
            sum.add(&wide(u128::from(addend)));
            prop_assert_eq!(&sum, &wide((value >> 1) + u128::from(addend)));
            sum.subtract(&wide(u128::from(addend)));
            prop_assert_eq!(sum, wide(value >> 1));
            prop_assert_eq!(wide(value >> 1).double_plus_one(), wide((value >> 1) * 2 + 1));
            prop_assert_eq!(wide(value).is_square(), root * root == value);
        }

        #[test]
        fn close_factors_are_found(base in (1u64 << 40)..(1u64 << 60), gap in 0u64..100) {
            let (p, q) = (u128::from(base), u128::from(base + 2 * gap));
            prop_assert!(wide(p * q).has_close_factors(100));
        }
    }

    #[test]
    fn distant_factors_are_not_found() {
        // The seventh and eighth Mersenne primes.
        assert!(!wide(((1 << 31) - 1) * ((1 << 61) - 1)).has_close_factors(100));
    }
}
