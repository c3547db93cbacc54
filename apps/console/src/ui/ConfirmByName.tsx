import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { type FormEvent, type ReactNode, useState } from 'react'
import { ProblemAlert } from './ProblemAlert.tsx'

type ConfirmByNameProps = {
  readonly opened: boolean
  readonly onClose: () => void
  readonly title: string
  /** What has to be typed. */
  readonly name: string
  readonly children: ReactNode
  readonly confirm: string
  readonly pending: boolean
  readonly error: unknown
  readonly onConfirm: () => void
}

/** For what cannot be undone: names the thing and asks to type its name. */
export function ConfirmByName(props: ConfirmByNameProps) {
  const { opened, onClose, title, name, children, confirm, pending, error, onConfirm } = props
  const [typed, setTyped] = useState('')
  const close = (): void => {
    setTyped('')
    onClose()
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (typed === name) onConfirm()
  }
  return (
    <Modal opened={opened} onClose={close} title={title} size={460}>
      <form onSubmit={submit}>
        <Stack gap="md">
          <div>{children}</div>
          <TextInput
            label={
              <Text span size="sm">
                Type <b>{name}</b> to go on
              </Text>
            }
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            autoComplete="off"
            data-autofocus
          />
          <ProblemAlert error={error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button color="red" type="submit" disabled={typed !== name} loading={pending}>
              {confirm}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
