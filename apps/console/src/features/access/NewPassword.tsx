// Passwords after the first: one's own, and that of somebody who has lost theirs.
import { Button, Group, Modal, PasswordInput, Stack, Text } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import type { User } from '@understudy/contract/access'
import { type FormEvent, type ReactNode, useState } from 'react'
import { client, fieldProblem } from '../../api/client.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { toastDone } from '../../ui/toast-job.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'

/** Your own: asks for the current one, so that nobody changes it at a desk that was left. */
export function ChangePassword({ name, onClose }: { readonly name: string; readonly onClose: () => void }) {
  const [current, setCurrent] = useState('')
  return (
    <PasswordDialog
      title="Change your password"
      note="Your other sessions are signed out."
      name={name}
      save={(password) => client.session.changePassword({ current, password })}
      done="Your password is changed"
      onClose={onClose}
    >
      <PasswordInput
        label="Current password"
        autoComplete="current-password"
        value={current}
        onChange={(event) => setCurrent(event.currentTarget.value)}
        required
        data-autofocus
      />
    </PasswordDialog>
  )
}

type SetPasswordProps = { readonly user: User; readonly onClose: () => void }

/** For somebody else: an owner hands it over. */
export function SetPassword({ user, onClose }: SetPasswordProps) {
  return (
    <PasswordDialog
      title={`Set a new password for ${user.name}`}
      note={`Tell it to ${user.name}, who changes it after signing in.`}
      name={user.name}
      save={(password) => client.users.update({ id: user.id, password })}
      done={`${user.name} has a new password`}
      onClose={onClose}
    />
  )
}

type PasswordDialogProps = {
  readonly title: string
  readonly note: string
  /** Whose it is: a password manager keeps it with that name. */
  readonly name: string
  readonly save: (password: string) => Promise<unknown>
  readonly done: string
  readonly onClose: () => void
  readonly children?: ReactNode
}

function PasswordDialog({ title, note, name, save, done, onClose, children }: PasswordDialogProps) {
  useFocusBack()
  const [password, setPassword] = useState('')
  const [again, setAgain] = useState('')
  const change = useMutation({
    mutationFn: () => save(password),
    onSuccess: () => {
      toastDone(done)
      onClose()
    },
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (again === password && !change.isPending) change.mutate()
  }
  return (
    <Modal opened onClose={onClose} title={title} size={440}>
      <form onSubmit={submit}>
        <Stack>
          <Text size="sm" c="var(--ink-quiet)">
            {note}
          </Text>
          <input type="text" name="username" autoComplete="username" value={name} readOnly hidden />
          {children}
          <PasswordInput
            label="New password"
            description="At least 12 characters"
            autoComplete="new-password"
            minLength={12}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            error={fieldProblem(change.error, 'password')}
            required
            data-autofocus={children === undefined ? true : undefined}
          />
          <PasswordInput
            label="New password again"
            autoComplete="new-password"
            value={again}
            onChange={(event) => setAgain(event.currentTarget.value)}
            error={again !== '' && again !== password ? 'The two passwords differ' : null}
            required
          />
          <ProblemAlert error={change.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={change.isPending}>
              Save the password
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
