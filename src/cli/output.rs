//! CSV files that a scenario writes, on the first shard only.

use std::fs::{File, OpenOptions};
use std::path::Path;

use super::failure::{Failure, Result};
use super::shard_thread;
use crate::dataflow::{Pipeline, Record};
use crate::error::IoError;
use crate::io::Sink;
use crate::io::csv::{CsvSink, Line};
use crate::time::Timestamp;

/// A CSV file on the first shard, and nothing on the others, where an ordered stream ends empty.
pub struct Csv<E>(Option<CsvSink<E>>);

impl<E> Csv<E> {
    /// Creates the file on the thread of the first shard. Where a pipeline is only drawn, no file
    /// is touched.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn on_first<T>(
        pipeline: Pipeline<'_>,
        path: &Path,
        header: &str,
        encode: E,
    ) -> std::result::Result<Self, IoError>
    where
        E: FnMut(&Record<T>, &mut Line<'_>),
    {
        let is_here = pipeline.shard() == 0 && shard_thread::is_here();
        let file = is_here.then(|| CsvSink::create(path, header, encode));
        Ok(Self(file.transpose()?))
    }

    /// Empties or creates the file, to find out before anything runs that it cannot be written.
    /// Devices, pipes and `-` are left alone: opening one may be more than it looks.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn check(path: &Path) -> Result<()> {
        let is_special = path.metadata().is_ok_and(|it| !it.is_file() && !it.is_dir());
        if is_special || path.as_os_str() == "-" {
            return Ok(());
        }
        let created: std::io::Result<File> =
            OpenOptions::new().write(true).create(true).truncate(true).open(path);
        created.map(drop).map_err(|error| {
            Failure::refused(IoError::new("create", path.display().to_string(), error))
        })
    }
}

impl<T, E: FnMut(&Record<T>, &mut Line<'_>) + 'static> Sink<T> for Csv<E> {
    #[inline]
    fn accept(&mut self, record: Record<T>) -> std::result::Result<(), IoError> {
        self.0.as_mut().map_or(Ok(()), |file| file.accept(record))
    }

    fn end_of_batch(&mut self) -> std::result::Result<(), IoError> {
        self.0.as_mut().map_or(Ok(()), CsvSink::end_of_batch)
    }

    fn on_watermark(&mut self, watermark: Timestamp) -> std::result::Result<(), IoError> {
        self.0.as_mut().map_or(Ok(()), |file| file.on_watermark(watermark))
    }

    fn end_of_stream(&mut self) -> std::result::Result<(), IoError> {
        self.0.as_mut().map_or(Ok(()), CsvSink::end_of_stream)
    }
}
