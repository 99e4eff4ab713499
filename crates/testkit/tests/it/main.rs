//! The other people's services of the test kit start, answer as they should, and end with their test.

#[cfg(test)]
mod browser;
#[cfg(test)]
mod demonstration;
#[cfg(test)]
mod foreign;
