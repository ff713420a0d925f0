#!/bin/sh
# Makes what a build of cloudbuild.yaml needs, once, by a person who may: APIs, accounts, queue, claims, secrets (without
# what they are to hold), empty services, and who may do what. It may be run again at any time; it deletes nothing.
#
#   PROJECT_ID=my-project sh deploy/bootstrap-gcp.sh
#   MODEL_PROVIDER=vertex MODEL_REGION=eu MODEL=claude-opus-5-5 JOB_PROJECT_IDS=1234,5678 … the same
#   sh deploy/bootstrap-gcp.sh job   only what a job needs to call Vertex AI, for functions that run elsewhere
#
# Its variables are those of cloudbuild.yaml without the underscore, and JOB_PROJECT_IDS: the ids (GitLab: Settings >
# General) of the projects whose jobs may call Vertex AI.
set -eu
cd "$(dirname "$0")/.."

: "${PROJECT_ID:=$(gcloud config get-value project 2>/dev/null)}"
: "${PROJECT_ID:?set PROJECT_ID to the id of the Google Cloud project}"
: "${GITLAB_URL:=https://gitlab.com}" "${MODEL_PROVIDER:=anthropic}" "${DISPATCH_CONCURRENCY:=5}" "${JOB_PROJECT_IDS:=}"
export PROJECT_ID GITLAB_URL MODEL_PROVIDER
settings=$(python3 deploy/check.py)
eval "$settings" # REGION and QUEUE_REGION
export CLOUDSDK_CORE_PROJECT="$PROJECT_ID" CLOUDSDK_CORE_DISABLE_PROMPTS=1

at="$PROJECT_ID.iam.gserviceaccount.com"
hello=us-docker.pkg.dev/cloudrun/container/hello

quietly() { "$@" >/dev/null; }

account() { # name, what it is for
  gcloud iam service-accounts describe "$1@$at" >/dev/null 2>&1 ||
    gcloud iam service-accounts create "$1" --display-name="gitlab-claude-trigger: $2"
}

may() { # account, role: in the whole project
  quietly gcloud projects add-iam-policy-binding "$PROJECT_ID" --member="serviceAccount:$1@$at" --role="$2" \
    --condition=None
}

may_act_as() { # account, whom
  quietly gcloud iam service-accounts add-iam-policy-binding "$2@$at" --member="serviceAccount:$1@$at" \
    --role=roles/iam.serviceAccountUser
}

secret() { # name, then the accounts that may read it
  name=$1
  shift
  gcloud secrets describe "$name" >/dev/null 2>&1 ||
    gcloud secrets create "$name" --replication-policy=user-managed --locations="$QUEUE_REGION"
  for reader in "$@"; do
    quietly gcloud secrets add-iam-policy-binding "$name" --member="serviceAccount:$reader@$at" \
      --role=roles/secretmanager.secretAccessor
  done
}

mountable() { # secret: what has no version cannot be mounted, and GitLab makes its token later, for a known address
  versions=$(gcloud secrets versions list "$1" --filter=state=ENABLED --limit=1 --format="value(name)")
  [ -n "$versions" ] || echo "{}" | quietly gcloud secrets versions add "$1" --data-file=-
}

service() { # name, ingress: empty until the first build, so that the build need not say who may call it
  gcloud run services describe "$1" --region="$REGION" >/dev/null 2>&1 ||
    gcloud run deploy "$1" --region="$REGION" --image="$hello" --service-account="$1@$at" --ingress="$2" \
      --no-allow-unauthenticated
}

public() { # service: an organisation that shares with its own domains only refuses allUsers, but not the other way
  callable "$1" allUsers 2>/dev/null ||
    quietly gcloud run services update "$1" --region="$REGION" --no-invoker-iam-check
}

callable() { # service, by whom
  quietly gcloud run services add-iam-policy-binding "$1" --region="$REGION" --member="$2" --role=roles/run.invoker
}

functions() {
  gcloud services enable run.googleapis.com cloudbuild.googleapis.com artifactregistry.googleapis.com \
    cloudtasks.googleapis.com cloudscheduler.googleapis.com firestore.googleapis.com secretmanager.googleapis.com \
    monitoring.googleapis.com iam.googleapis.com

  account claude-receive "answers GitLab"
  account claude-dispatch "carries runs to GitLab"
  account claude-sweep "finds what was missed"
  account claude-invoker "calls dispatch and sweep"
  account claude-build "deploys"

  # dispatch records a dead letter at attempt 13; the others are for the case that it dies doing so.
  limits="--max-attempts=20 --min-backoff=5s --max-backoff=1800s --max-doublings=8 --max-retry-duration=0s"
  limits="$limits --max-concurrent-dispatches=$DISPATCH_CONCURRENCY"
  verb=create
  if gcloud tasks queues describe claude-runs --location="$QUEUE_REGION" >/dev/null 2>&1; then verb=update; fi
  # shellcheck disable=SC2086  these are words
  gcloud tasks queues $verb claude-runs --location="$QUEUE_REGION" $limits

  gcloud firestore databases describe --database="(default)" >/dev/null 2>&1 ||
    gcloud firestore databases create --database="(default)" --location="$QUEUE_REGION" --type=firestore-native
  gcloud firestore fields ttls update expires --collection-group=claims --enable-ttl --async

  secret claude-webhook-secrets claude-receive
  mountable claude-webhook-secrets
  secret claude-gitlab-secrets claude-dispatch claude-sweep

  for name in claude-receive claude-sweep; do
    quietly gcloud tasks queues add-iam-policy-binding claude-runs --location="$QUEUE_REGION" \
      --member="serviceAccount:$name@$at" --role=roles/cloudtasks.enqueuer
    may_act_as "$name" claude-invoker # a task carries the invoker's token
  done
  for name in claude-dispatch claude-sweep; do
    may "$name" roles/datastore.user # Firestore has no smaller place to bind a role to than the project
  done

  service claude-receive all
  service claude-dispatch internal
  service claude-sweep internal
  callable claude-dispatch "serviceAccount:claude-invoker@$at"
  callable claude-sweep "serviceAccount:claude-invoker@$at"

  # The build: sources, images, revisions, schedule, alerts. It may change
  # nobody's rights; but it may act as the functions, and the code it deploys reads their secrets: who may submit
  # builds, may read them.
  for role in run.sourceDeveloper run.builder storage.objectViewer serviceusage.serviceUsageConsumer \
    logging.logWriter cloudscheduler.admin monitoring.alertPolicyEditor monitoring.notificationChannelEditor \
    monitoring.dashboardEditor; do
    may claude-build "roles/$role"
  done
  for name in claude-receive claude-dispatch claude-sweep claude-invoker claude-build; do
    may_act_as claude-build "$name"
  done
  # The one step that a policy may refuse comes last. GitLab cannot sign in; receive verifies every delivery itself.
  public claude-receive
  echo "The functions run in $REGION, the queue is in $QUEUE_REGION. Next: make deploy-gcp, then make setup."
}

job() {
  : "${JOB_PROJECT_IDS:?set JOB_PROJECT_IDS to the ids of the GitLab projects whose jobs may call Vertex AI}"
  gcloud services enable aiplatform.googleapis.com iam.googleapis.com iamcredentials.googleapis.com sts.googleapis.com
  account claude-job "calls Claude on Vertex AI"
  # To call a model, and nothing else: https://cloud.google.com/vertex-ai/docs/general/access-control
  verb=create
  if gcloud iam roles describe claudeCaller --project="$PROJECT_ID" >/dev/null 2>&1; then verb=update; fi
  quietly gcloud iam roles $verb claudeCaller --project="$PROJECT_ID" --title="Call Claude" \
    --permissions=aiplatform.endpoints.predict
  may claude-job "projects/$PROJECT_ID/roles/claudeCaller"

  # Ids, not paths: a path can be given up and taken by somebody else. Every GitLab.com project has the same issuer.
  ids=$(echo "$JOB_PROJECT_IDS" | sed 's/ //g; s/,/", "/g')
  mapping="google.subject=assertion.sub,attribute.project_id=assertion.project_id"
  condition="assertion.project_id in [\"$ids\"] && assertion.ref_protected == \"true\""
  condition="$condition && assertion.pipeline_source == \"trigger\""
  gcloud iam workload-identity-pools describe gitlab --location=global >/dev/null 2>&1 ||
    gcloud iam workload-identity-pools create gitlab --location=global --display-name="GitLab jobs"
  verb=create-oidc
  if gcloud iam workload-identity-pools providers describe claude --location=global --workload-identity-pool=gitlab \
    >/dev/null 2>&1; then verb=update-oidc; fi
  gcloud iam workload-identity-pools providers $verb claude --location=global --workload-identity-pool=gitlab \
    --issuer-uri="$GITLAB_URL" --allowed-audiences=gitlab-claude-trigger --attribute-mapping="$mapping" \
    --attribute-condition="$condition"

  number=$(gcloud projects describe "$PROJECT_ID" --format="value(projectNumber)")
  pool="projects/$number/locations/global/workloadIdentityPools/gitlab"
  for id in $(echo "$JOB_PROJECT_IDS" | tr ',' ' '); do
    quietly gcloud iam service-accounts add-iam-policy-binding "claude-job@$at" \
      --role=roles/iam.workloadIdentityUser \
      --member="principalSet://iam.googleapis.com/$pool/attribute.project_id/$id"
  done
  echo "CI/CD variables for GitLab:"
  echo "GCP_WORKLOAD_IDENTITY_PROVIDER=$pool/providers/claude"
  echo "GCP_SERVICE_ACCOUNT=claude-job@$at"
  echo "GCP_PROJECT_ID=$PROJECT_ID"
  echo "CLOUD_ML_REGION=${MODEL_REGION:-global}"
}

if [ "${1:-}" != job ]; then functions; fi
if [ "${1:-}" = job ] || [ "$MODEL_PROVIDER" = vertex ]; then job; fi
