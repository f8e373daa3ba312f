//! Text as a QR code: for the terminal, as SVG and as PNG.

use std::error::Error;
use std::fmt;

use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode};

/// A text as a QR code.
pub struct Qr {
    code: QrCode,
}

impl Qr {
    /// Encodes `text`, correcting errors at level M, or at level L when M has no room for it.
    ///
    /// # Errors
    /// [`QrError::TooLong`] if no QR code holds it: with bytes of all kinds, 2,953 fit.
    pub fn encode(text: &str) -> Result<Self, QrError> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M)
            .or_else(|_| QrCode::with_error_correction_level(text, EcLevel::L))
            .map_err(|_| QrError::TooLong { length: text.len() })?;
        Ok(Self { code })
    }

    /// Draws the code with half blocks, two rows of modules to a line.
    ///
    /// Each line ends with a line feed.
    pub fn to_terminal(&self, ink: Ink) -> String {
        let rows: Vec<Vec<bool>> = self.rows().collect();
        let mut text = String::new();
        for pair in rows.chunks(2) {
            let (start, end, block_is_dark) = match ink {
                Ink::Plain => ("", "", false),
                Ink::Ansi => (BLACK_ON_WHITE, RESET, true),
            };
            text.push_str(start);
            for (column, &upper) in pair[0].iter().enumerate() {
                // Below an odd last row there is quiet zone, which is light.
                let lower = pair.get(1).is_some_and(|row| row[column]);
                text.push(match (upper == block_is_dark, lower == block_is_dark) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text.push_str(end);
            text.push('\n');
        }
        text
    }

    /// Draws the code as an SVG image.
    pub fn to_svg(&self) -> String {
        let side = u32::from(PIXELS);
        self.code
            .render::<svg::Color<'_>>()
            .quiet_zone(true)
            .module_dimensions(side, side)
            .build()
    }

    /// Draws the code as a PNG image of 8 pixels to a module, in black and white.
    pub fn to_png(&self) -> Vec<u8> {
        let data: Vec<u8> = self.rows().flat_map(|row| png_rows(&row)).collect();
        png_image((self.code.width() + 2 * QUIET) * usize::from(PIXELS), &data)
    }

    /// The modules row by row, dark ones true, with the quiet zone around them.
    fn rows(&self) -> impl Iterator<Item = Vec<bool>> {
        let width = self.code.width();
        let dark = move |x: usize, y: usize| {
            let inside = QUIET..QUIET + width;
            inside.contains(&x)
                && inside.contains(&y)
                && self.code[(x - QUIET, y - QUIET)] == Color::Dark
        };
        let side = 0..width + 2 * QUIET;
        side.clone()
            .map(move |y| side.clone().map(|x| dark(x, y)).collect())
    }
}

/// A row of modules as rows of pixels: a module is a byte wide, 1 is white.
fn png_rows(row: &[bool]) -> Vec<u8> {
    let line: Vec<u8> = row
        .iter()
        .map(|&dark| if dark { 0x00 } else { 0xff })
        .collect();
    line.repeat(usize::from(PIXELS))
}

/// A square PNG image with one bit to a pixel.
fn png_image(side: usize, data: &[u8]) -> Vec<u8> {
    let side = u32::try_from(side).expect("the largest code has 1,480 pixels to a side");
    let mut image = Vec::new();
    let mut encoder = png::Encoder::new(&mut image, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(data))
        .expect("the data has the size of the image, and memory can be written to");
    image
}

/// How a code is drawn in a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ink {
    /// Blocks alone, right for light text on a dark background.
    #[default]
    Plain,
    /// With escape sequences for black on white, right on any background.
    Ansi,
}

/// Why there is no QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QrError {
    /// The text does not fit the largest code.
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl QrError {
    /// The stable name of this error.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong { .. } => "qr-too-long",
        }
    }
}

impl fmt::Display for QrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => {
                write!(
                    f,
                    "{length} bytes do not fit a QR code, which holds about 2,900"
                )
            }
        }
    }
}

impl Error for QrError {}

/// Light modules around the code, ISO/IEC 18004 section 5.3.8.
const QUIET: usize = 4;
/// Pixels to the side of a module; 8 make a row of modules one of whole bytes.
const PIXELS: u8 = 8;
/// From the color cube, whose colors themes leave alone.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use super::*;

    /// Dark and light pixels, as a camera sees them.
    type Picture = Vec<Vec<bool>>;

    fn read(picture: &Picture) -> String {
        let (width, height) = (picture[0].len(), picture.len());
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            if picture[y][x] { 0 } else { 255 }
        });
        // The reader now and then takes a pattern in the data for a second code; that one fails.
        let codes = image.detect_grids();
        codes
            .iter()
            .find_map(|code| code.decode().ok())
            .expect("a code that can be read")
            .1
    }

    fn png_picture(bytes: &[u8]) -> Picture {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut data).unwrap();
        assert_eq!(info.color_type, png::ColorType::Grayscale);
        assert_eq!(info.bit_depth, png::BitDepth::One);
        assert_eq!(info.width, info.height);
        let pixel = |row: &[u8], x: usize| row[x / 8] >> (7 - x % 8) & 1 == 0;
        let width = usize::try_from(info.width).unwrap();
        // Every second pixel is enough to read the code, in a quarter of the time.
        let rows = data.chunks(info.line_size).step_by(2);
        rows.map(|row| (0..width).step_by(2).map(|x| pixel(row, x)).collect())
            .collect()
    }

    /// Draws what a terminal shows: two pixels to a character, then enlarged.
    fn terminal_picture(text: &str, ink: Ink) -> Picture {
        let mut picture = Vec::new();
        for line in text.lines() {
            let line = match ink {
                Ink::Plain => line,
                Ink::Ansi => line
                    .strip_prefix(BLACK_ON_WHITE)
                    .unwrap()
                    .strip_suffix(RESET)
                    .unwrap(),
            };
            for upper in [true, false] {
                let block = |c| match c {
                    '█' => true,
                    '▀' => upper,
                    '▄' => !upper,
                    ' ' => false,
                    other => panic!("{other:?} in a code"),
                };
                let dark = |c| block(c) == (ink == Ink::Ansi);
                picture.push(line.chars().flat_map(|c| [dark(c); 4]).collect::<Vec<_>>());
            }
        }
        picture.into_iter().flat_map(|row| vec![row; 4]).collect()
    }

    /// Fills the rectangles of the path `M{x} {y}h{w}v{h}H{x}V{y}...`.
    fn svg_picture(text: &str) -> Picture {
        let between = |start, end| {
            let rest: &str = text.split_once(start).unwrap().1;
            rest.split_once(end).unwrap().0
        };
        let side: usize = between("width=\"", "\"").parse().unwrap();
        let mut picture = vec![vec![false; side]; side];
        let path = between(" d=\"M", "\"");
        for rectangle in path.split('M') {
            let numbers: Vec<usize> = rectangle
                .split(|c: char| !c.is_ascii_digit())
                .map(|number| number.parse().unwrap())
                .collect();
            let [x, y, width, height, back_x, back_y] = numbers[..] else {
                panic!("{rectangle}")
            };
            assert_eq!((x, y), (back_x, back_y));
            for row in &mut picture[y..y + height] {
                row[x..x + width].fill(true);
            }
        }
        picture
    }

    #[track_caller]
    fn check_png(text: &str) {
        let picture = png_picture(&Qr::encode(text).unwrap().to_png());
        assert_eq!(read(&picture), text, "png of {} bytes", text.len());
    }

    #[track_caller]
    fn check(text: &str) {
        check_png(text);
        let qr = Qr::encode(text).unwrap();
        assert_eq!(
            read(&svg_picture(&qr.to_svg())),
            text,
            "svg of {} bytes",
            text.len()
        );
        for ink in [Ink::Plain, Ink::Ansi] {
            let picture = terminal_picture(&qr.to_terminal(ink), ink);
            assert_eq!(read(&picture), text, "{ink:?} of {} bytes", text.len());
        }
    }

    /// Text with the letters of a token, no two lengths alike.
    fn token(length: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut state = length;
        let letters = (0..length).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695);
            char::from(LETTERS[state >> 40 & 63])
        });
        letters.collect()
    }

    #[test]
    fn lengths_up_to_two_thousand_read_back() {
        // Most versions of a code up to 33, and every count of bytes that a last block can lack.
        for length in (1..=40).chain((41..2000).step_by(89)).chain([400, 2000]) {
            check_png(&token(length));
        }
    }

    #[test]
    fn every_form_reads_back() {
        for length in [1, 17, 63, 400, 1000, 2000] {
            check(&token(length));
        }
    }

    #[test]
    fn all_kinds_of_text_read_back() {
        check("0123456789");
        check("HTTPS://EXAMPLE.COM/$%*+-./:");
        check("Grüße, 世界 ✓");
        check("phi\nfingerprint\n");
    }

    #[test]
    fn correction_gives_way_to_length() {
        let level = |length| {
            Qr::encode(&token(length))
                .unwrap()
                .code
                .error_correction_level()
        };
        assert_eq!(level(2331), EcLevel::M);
        assert_eq!(level(2332), EcLevel::L);
        assert_eq!(level(2953), EcLevel::L);
    }

    #[test]
    fn too_much_is_refused() {
        for length in [2954, 10_000, 1_000_000] {
            let error = Qr::encode(&token(length)).err();
            assert_eq!(error, Some(QrError::TooLong { length }));
        }
    }

    #[test]
    fn a_quiet_zone_surrounds_the_code() {
        let qr = Qr::encode("quiet").unwrap();
        let quiet = |picture: &Picture, pixels: usize| {
            let side = picture.len();
            let light = |row: &Vec<bool>| !row.contains(&true);
            assert!(
                picture[..pixels].iter().all(light) && picture[side - pixels..].iter().all(light)
            );
            assert!(picture.iter().all(|row| !row[..pixels].contains(&true)));
            assert!(
                picture
                    .iter()
                    .all(|row| !row[row.len() - pixels..].contains(&true))
            );
        };
        quiet(&png_picture(&qr.to_png()), 16);
        quiet(&svg_picture(&qr.to_svg()), 32);
        for ink in [Ink::Plain, Ink::Ansi] {
            quiet(&terminal_picture(&qr.to_terminal(ink), ink), 16);
        }
    }
}
