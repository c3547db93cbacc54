import { Button, PasswordInput, Stack, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { client } from '../../api/client.ts'
import { adoptSession } from '../../api/session.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'

type SetupFormProps = { readonly token: string; readonly onDone: () => void }

/** Without a token in the address it asks for it: the server printed it at its start. */
export function SetupForm({ token, onDone }: SetupFormProps) {
  const queries = useQueryClient()
  const [typedToken, setTypedToken] = useState('')
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [again, setAgain] = useState('')
  const complete = useMutation({
    mutationFn: () => client.setup.complete({ token: token === '' ? typedToken : token, name, password }),
    onSuccess: (session) => {
      adoptSession(queries, session)
      onDone()
    },
  })
  const mismatch = again !== '' && again !== password ? 'The two passwords differ' : null
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (again === password) complete.mutate()
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        {token === '' && (
          <TextInput
            label="Set-up token"
            description="From the link that the server printed when it started"
            value={typedToken}
            onChange={(event) => setTypedToken(event.currentTarget.value)}
            required
          />
        )}
        <TextInput
          label="Name"
          autoComplete="username"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          required
          autoFocus
        />
        <PasswordInput
          label="Password"
          description="At least 12 characters"
          autoComplete="new-password"
          minLength={12}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          required
        />
        <PasswordInput
          label="Password again"
          autoComplete="new-password"
          value={again}
          onChange={(event) => setAgain(event.currentTarget.value)}
          error={mismatch}
          required
        />
        <ProblemAlert error={complete.error} />
        <Button type="submit" size="sm" loading={complete.isPending}>
          Make the owner and sign in
        </Button>
      </Stack>
    </form>
  )
}
