import { useNavigate, useSearch } from '@tanstack/react-router'
import { SetupForm } from '../features/access/SetupForm.tsx'
import { Entrance } from '../ui/Entrance.tsx'

export function SetupPage() {
  const navigate = useNavigate()
  const { token } = useSearch({ from: '/setup' })
  return (
    <Entrance title="Make the first owner" note="The owner may do everything and can invite others later.">
      <SetupForm token={token ?? ''} onDone={() => void navigate({ to: '/' })} />
    </Entrance>
  )
}
