import { Center, Image, Modal, Text, UnstyledButton } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import type { Run } from '@understudy/contract/protection'
import { useState } from 'react'

/** The machine's screen as it was last seen; a click shows it large. */
export function RunScreenshot({
  run,
  name,
  width,
}: {
  readonly run: Run
  readonly name: string
  readonly width: number
}) {
  const [opened, { open, close }] = useDisclosure()
  const [missing, setMissing] = useState(false)
  const address = `/api/v1/runs/${encodeURIComponent(run.id)}/screenshot`
  const label = `Screen of ${name}`
  if (!run.hasScreenshot || missing)
    return (
      <Center
        w={width}
        h={width * 0.56}
        style={{ border: '1px dashed var(--line)', borderRadius: 'var(--mantine-radius-sm)' }}
      >
        <Text size="xs" c="var(--ink-quiet)">
          {run.answeredAt === null ? 'no screen yet' : 'no picture of its screen'}
        </Text>
      </Center>
    )
  return (
    <>
      <UnstyledButton onClick={open} aria-label={`Enlarge: ${label}`}>
        <Image
          src={address}
          alt={label}
          w={width}
          onError={() => setMissing(true)}
          radius="sm"
          style={{ border: '1px solid var(--line)', background: '#000' }}
        />
      </UnstyledButton>
      <Modal opened={opened} onClose={close} title={label} size="xl">
        <Image src={address} alt={label} style={{ background: '#000' }} />
      </Modal>
    </>
  )
}
