//! Messages on standard input and output: a big-endian length of four bytes, then the encoded message.

use std::io::{self, Read, Write};

use prost::Message;

/// The largest message that is believed; the suite's largest is about a megabyte.
const MAX: usize = 64 << 20;

/// Reads one message; `None` at a clean end of input.
pub fn read<M: Message + Default>(input: &mut impl Read) -> io::Result<Option<M>> {
    let mut length = [0; 4];
    match input.read(&mut length[..1])? {
        0 => return Ok(None),
        _ => input.read_exact(&mut length[1..])?,
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes")));
    }
    let mut data = vec![0; length];
    input.read_exact(&mut data)?;
    M::decode(&data[..]).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes one message and flushes it.
pub fn write(output: &mut impl Write, message: &impl Message) -> io::Result<()> {
    let mut frame = vec![0; 4];
    message.encode(&mut frame).map_err(io::Error::other)?;
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    output.write_all(&frame)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ServerCompatResponse;

    #[test]
    fn frames_round_trip_and_end_cleanly() {
        let message = ServerCompatResponse { host: "127.0.0.1".into(), port: 80, pem_cert: vec![1, 2] };
        let mut wire = Vec::new();
        write(&mut wire, &message).unwrap();
        write(&mut wire, &ServerCompatResponse::default()).unwrap();
        let mut input = &wire[..];
        assert_eq!(read::<ServerCompatResponse>(&mut input).unwrap(), Some(message));
        assert_eq!(read::<ServerCompatResponse>(&mut input).unwrap(), Some(ServerCompatResponse::default()));
        assert_eq!(read::<ServerCompatResponse>(&mut input).unwrap(), None);
    }

    #[test]
    fn a_cut_frame_is_an_error() {
        for cut in [&[0, 0][..], &[0, 0, 0, 4, 1][..], &[0xff, 0xff, 0xff, 0xff][..]] {
            assert!(read::<ServerCompatResponse>(&mut &cut[..]).is_err());
        }
    }
}
