// A picture of a machine's screen.
import { join } from 'node:path'
import { Outage } from '@understudy/base/errors'
import { encodePng, PNG_SIGNATURE } from '../wires/png.ts'
import { type MachineLocation, withMonitor } from './monitor.ts'
import { isQemuRefusal } from './qmp.ts'

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
  return picture.subarray(0, PNG_SIGNATURE.length).equals(PNG_SIGNATURE)
    ? picture
    : portablePixmapToPng(picture)
}

const noPicture = (machine: MachineLocation): Outage =>
  new Outage({
    code: 'target/no-screenshot',
    message: `QEMU of ${machine.name} gave no picture of its screen`,
    remedy: 'Try again; see the free space of its host.',
  })

/** Netpbm's binary pixmap, `P6 <width> <height> 255\n` and three bytes a pixel, to PNG. Exported for its test. */
export function portablePixmapToPng(pixmap: Buffer): Buffer {
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(pixmap.toString('latin1', 0, 64))
  if (header === null) throw new RangeError('not a binary pixmap with 8 bits a channel')
  const [width, height] = [Number(header[1]), Number(header[2])]
  return encodePng({ width, height, pixels: pixmap.subarray(header[0].length) })
}
