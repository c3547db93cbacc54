// This computer as one that is written: in a rescue system that runs from memory.
import { stat } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { readReceivableDisks } from '@understudy/drivers/linux/receiving/receivable-disks'
import { openReceivingDisk } from '@understudy/drivers/linux/receiving/receiving-disk'
import type { ReceiverSystem } from '@understudy/drivers/physical/receiver-desk'

/** `devices`: these and nothing else, whatever they are; null: all disks. */
export const openReceiver = (
  devices: readonly string[] | null,
  home: Pick<ReceiverSystem, 'finish' | 'restart'>,
): ReceiverSystem => ({
  ...home,
  async describe(signal) {
    const [disks, isUefi] = await Promise.all([
      readReceivableDisks(devices, signal),
      stat('/sys/firmware/efi').then(
        () => true,
        () => false,
      ),
    ])
    const addresses = Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .filter(({ internal, scopeid }) => !internal && !scopeid)
      .map(({ address }) => address)
    return { disks, addresses, firmware: isUefi ? 'uefi' : 'bios' }
  },
  open: openReceivingDisk,
})
