// The screen of a simulated machine: a PNG that says what it is, so that nobody takes it for a real one.
import { encodePng } from '../wires/png.ts'

const WIDTH = 640
const HEIGHT = 400
const SCALE = 4
const INK = 1
/** Dark ground, light ink. */
const PALETTE = Buffer.from([0x12, 0x1a, 0x2b, 0xd7, 0xe3, 0xf4])

/** Lines of text, centred. Characters without a glyph are left blank. */
export function textScreen(lines: readonly string[]): Buffer {
  const pixels = Buffer.alloc(WIDTH * HEIGHT)
  const lineHeight = 10 * SCALE
  const top = Math.round((HEIGHT - lines.length * lineHeight) / 2)
  for (const [index, line] of lines.entries()) drawLine(pixels, line.toUpperCase(), top + index * lineHeight)
  return encodePng({ width: WIDTH, height: HEIGHT, pixels, palette: PALETTE })
}

function drawLine(pixels: Buffer, line: string, top: number): void {
  const shown = line.slice(0, Math.floor(WIDTH / (6 * SCALE)))
  const left = Math.round((WIDTH - shown.length * 6 * SCALE) / 2)
  for (const [position, character] of [...shown].entries())
    drawGlyph(pixels, glyphs[character] ?? '', left + position * 6 * SCALE, top)
}

/** A glyph is seven rows of five dots, two base-36 digits a row: 5 bits. */
function drawGlyph(pixels: Buffer, glyph: string, left: number, top: number): void {
  for (let row = 0; row < 7; row += 1) {
    const dots = Number.parseInt(glyph.slice(row, row + 1) || '0', 36)
    for (let column = 0; column < 5; column += 1) {
      if ((dots & (16 >> column)) === 0) continue
      for (let y = 0; y < SCALE; y += 1) {
        const start = (top + row * SCALE + y) * WIDTH + left + column * SCALE
        pixels.fill(INK, start, start + SCALE)
      }
    }
  }
}

/** Rows from top to bottom, one base-36 digit (0 to v) each: the five dots as bits. */
const glyphs: Readonly<Record<string, string>> = {
  A: 'ehhvhhh',
  B: 'uhhuhhu',
  C: 'ehggghe',
  D: 'uhhhhhu',
  E: 'vgguggv',
  F: 'vgguggg',
  G: 'ehgnhhf',
  H: 'hhhvhhh',
  I: 'e44444e',
  J: '72222ic',
  K: 'hikokih',
  L: 'ggggggv',
  M: 'hrllhhh',
  N: 'hppljjh',
  O: 'ehhhhhe',
  P: 'uhhuggg',
  Q: 'ehhhlid',
  R: 'uhhukih',
  S: 'fgge11u',
  T: 'v444444',
  U: 'hhhhhhe',
  V: 'hhhhha4',
  W: 'hhhllra',
  X: 'hha4ahh',
  Y: 'hha4444',
  Z: 'v1248gv',
  '0': 'ehjlphe',
  '1': '4c4444e',
  '2': 'eh1248v',
  '3': 'v2421he',
  '4': '26aiv22',
  '5': 'vgu11he',
  '6': '68guhhe',
  '7': 'v124888',
  '8': 'ehhehhe',
  '9': 'ehhf12c',
  '-': '000v000',
  '.': '00000cc',
  ':': '0cc0cc0',
  '/': '01248g0',
}
