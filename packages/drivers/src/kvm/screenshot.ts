// A picture of a machine's screen.
import { join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'
import { Outage } from '@understudy/base/errors'
import { type MachineLocation, withMonitor } from './monitor.ts'
import { isQemuRefusal } from './qmp.ts'

/** The signature that every PNG begins with (RFC 2083, section 3.1). */
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])

/** PNG. QEMU writes the file on its host; it is removed again. Works for a paused machine as well. */
export async function takeScreenshot(machine: MachineLocation, signal?: AbortSignal): Promise<Buffer> {
  const path = join(machine.folder, 'us-screen')
  await withMonitor(
    machine,
    async (qmp) => {
      try {
        await qmp.execute('screendump', { filename: path, format: 'png' })
      } catch (error) {
        // QEMU before 7.1, or built without libpng.
        if (!isQemuRefusal(error)) throw error
        await qmp.execute('screendump', { filename: path })
      }
    },
    { signal },
  )
  return takePicture(machine, path)
}

/** The picture that was put there, as PNG; the file is gone afterwards. Outage `target/no-screenshot` when there is none. */
export async function takePicture(machine: MachineLocation, path: string): Promise<Buffer> {
  const picture = await machine.host.readFile(path)
  await machine.host.removeFile(path)
  if (picture === null || picture.length === 0) throw noPicture(machine)
  return picture.subarray(0, PNG.length).equals(PNG) ? picture : portablePixmapToPng(picture)
}

const noPicture = (machine: MachineLocation): Outage =>
  new Outage({
    code: 'target/no-screenshot',
    message: `QEMU of ${machine.name} gave no picture of its screen`,
    remedy: 'Try again; see the free space of its host.',
  })

/**
 * Netpbm's binary pixmap, `P6 <width> <height> 255\n` and three bytes a pixel, to PNG (RFC 2083): signature, then the chunks
 * IHDR, IDAT (each row preceded by filter type 0, deflated) and IEND. Exported for its test.
 */
export function portablePixmapToPng(pixmap: Buffer): Buffer {
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(pixmap.toString('latin1', 0, 64))
  if (header === null) throw new RangeError('not a binary pixmap with 8 bits a channel')
  const [width, height] = [Number(header[1]), Number(header[2])]
  const rowBytes = width * 3
  const rows = Buffer.alloc((rowBytes + 1) * height)
  for (let row = 0; row < height; row += 1) {
    const from = header[0].length + row * rowBytes
    pixmap.copy(rows, row * (rowBytes + 1) + 1, from, from + rowBytes)
  }
  const size = Buffer.alloc(13)
  size.writeUInt32BE(width, 0)
  size.writeUInt32BE(height, 4)
  // 8 bits a channel, RGB, deflate, adaptive filters, not interlaced.
  size.set([8, 2, 0, 0, 0], 8)
  return Buffer.concat([
    PNG,
    chunk('IHDR', size),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type: string, data: Buffer): Buffer {
  const checked = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const framed = Buffer.alloc(checked.length + 8)
  framed.writeUInt32BE(data.length, 0)
  checked.copy(framed, 4)
  framed.writeUInt32BE(crc32(checked), checked.length + 4)
  return framed
}
